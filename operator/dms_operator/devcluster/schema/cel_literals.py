"""What Kubernetes refuses of literals in expressions, beyond their types (1.29 and later)."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    """Why Go cannot compile a pattern, or an empty text."""
    if re.search(r"\(\?(=|!|<=|<!)", pattern):
        return "error parsing regexp: invalid or unsupported Perl syntax"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"error parsing regexp: {error}"
    return ""
