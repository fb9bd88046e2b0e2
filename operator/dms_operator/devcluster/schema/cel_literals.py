"""What Kubernetes refuses of literals in expressions, beyond their types (1.29 and later)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from cel_expr_python import cel

from dms_operator.devcluster.schema.cel_programs import EvaluationError, run, runnable, running
from dms_operator.devcluster.schema.cel_tree import Call, ListLiteral, Literal, MapLiteral, Node, walk


def literal_problems(tree: Node) -> Iterator[str]:
    """Lists and maps of mixed types (`cel.HomogeneousAggregateLiterals`), patterns that are none."""
    for node in walk(tree):
        if isinstance(node, ListLiteral):
            yield from _mixed(node.elements)
        elif isinstance(node, MapLiteral):
            yield from _mixed(node.entries[::2])
            yield from _mixed(node.entries[1::2])
        elif isinstance(node, Call) and node.function == "matches":
            pattern = node.arguments[-1]
            if isinstance(pattern, Literal) and (problem := pattern_problem(pattern.value)):
                yield f"invalid matches argument: {problem}"


def _mixed(members: tuple[Node, ...]) -> Iterator[str]:
    kinds = [member.type.kind for member in members if member.type.kind != "dyn"]
    for kind in kinds:
        if kind != kinds[0]:
            yield f"expected type '{kinds[0]}' but found '{kind}'"
            return


def pattern_problem(pattern: str) -> str:
    """Why Go cannot compile a pattern, or an empty text: both it and the library follow RE2, Python does not."""
    try:
        run(_matcher(), running().Activation({"self": pattern}))
    except EvaluationError as error:
        return f"error parsing regexp: {str(error).removeprefix('invalid regular expression: ')}"
    return ""


@lru_cache(maxsize=1)
def _matcher() -> cel.Expression:
    return runnable("''.matches(self)")
