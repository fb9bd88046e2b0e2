"""Says before any TI tool runs which nodes TIDL will leave to the Arm cores, why, and what to change.

A prediction from TI's published tables (`operators`, `rules`, `patterns`): TI's tools have the last word.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import onnx

from ...api.cpu_fallback import ALLOW_CPU_FALLBACK
from ...api.errors import UnsupportedOperators
from ...api.stages import Delegation
from ...api.target_options.tidl_socs import Soc
from .graph import Graph, Node, opset_of
from .operators import AT_EDGES, HINTS, IN_PATTERN, MAXIMUM_NODES, MAXIMUM_OPSET, PATTERN_OF, SUPPORTED
from .patterns import find_fusions
from .rules import refusal

_SHOWN = 10


@dataclass(frozen=True)
class Refused:
    """A node that TIDL is predicted to leave to the Arm cores."""

    index: int
    name: str
    op: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.op}: {self.reason})"


@dataclass(frozen=True)
class Preflight:
    """The prediction for one model."""

    nodes: int
    """Compute nodes: constants and quantization are not counted."""
    refused: tuple[Refused, ...]
    subgraphs: int
    """Parts of the graph that the C7x is predicted to run; more than 1 means trips to the Arm cores between."""
    fusions: dict[str, int]
    warnings: tuple[str, ...]
    """What the model is imported in spite of, such as an opset that has to be lowered."""

    @property
    def delegation(self) -> Delegation:
        """Predicted share of the C7x."""
        counts = Counter(node.op for node in self.refused).most_common(_SHOWN)
        left = [f"{op} x{count}" for op, count in counts]
        return Delegation(npu=self.nodes - len(self.refused), total=self.nodes, left_on_cpu=left)

    def document(self) -> dict[str, Any]:
        """For the report file; the word `predicted` is part of it."""
        return asdict(self) | {"kind": "predicted", "hints": hints(self)}


def check_model(model: onnx.ModelProto) -> Preflight:
    """Hold every node against the tables of TDA4VM."""
    graph = Graph(model)
    fusions = find_fusions(graph)
    inside = {index: fusion.kind for fusion in fusions for index in fusion.members}
    refused = []
    for node in graph.nodes:
        if reason := _reason(graph, node, inside.get(node.index)):
            refused.append(Refused(node.index, node.name or node.output, node.op, reason))
    kinds = Counter(fusion.kind for fusion in fusions)
    left = {node.index for node in refused}
    return Preflight(
        len(graph.nodes), tuple(refused), _subgraphs(graph, left), dict(kinds), tuple(_warnings(model, graph))
    )


def refuse(preflight: Preflight, soc: Soc, *, certain: bool) -> UnsupportedOperators:
    """The refusal of a model that would not run on the C7x as a whole; `certain` when TI's tools said so."""
    shown = ", ".join(str(node) for node in preflight.refused[:_SHOWN])
    more = f" and {len(preflight.refused) - _SHOWN} more" if len(preflight.refused) > _SHOWN else ""
    verb = "do not" if certain else "will not (by TI's published tables)"
    message = f"{len(preflight.refused)} of {preflight.nodes} nodes {verb} run on the {soc.title} C7x: {shown}{more}"
    return UnsupportedOperators(message, hint=_advice(preflight))


def hints(preflight: Preflight) -> dict[str, str]:
    """Advice per operator type that was refused."""
    return {op: HINTS[op] for op in dict.fromkeys(node.op for node in preflight.refused) if op in HINTS}


def _advice(preflight: Preflight) -> str:
    known = [f"{op}: {text}" for op, text in hints(preflight).items()][:3]
    start = "Try: " + "; ".join(known) if known else "Replace these operators in the model"
    return (
        f'{start}. Or accept Arm cores in the loop with the option {ALLOW_CPU_FALLBACK}: "true" or a share such as "5%"'
    )


def _reason(graph: Graph, node: Node, pattern: str | None) -> str | None:
    """Why a node is refused. Inside a pattern the single operators' rules do not hold, but the pattern's axis does."""
    row = SUPPORTED.get(node.op)
    if pattern == "LayerNorm" and node.op == "ReduceMean":
        return None if _reduces_width(graph, node) else "a LayerNorm over other axes than width"
    if pattern:
        return None
    if row is None:
        return "no TIDL layer"
    if row.where == IN_PATTERN:
        return f"only inside a {PATTERN_OF[node.op]}" if node.op in PATTERN_OF else "not as a node of its own"
    if row.where == AT_EDGES and not _at_edge(graph, node):
        return "only at the model's inputs and outputs"
    return refusal(graph, node)


def _reduces_width(graph: Graph, node: Node) -> bool:
    before, after = graph.shape(node.inputs[0]), graph.shape(node.output)
    return bool(before and after and len(before) == len(after) and before[:-1] == after[:-1] and after[-1] == 1)


def _at_edge(graph: Graph, node: Node) -> bool:
    return bool(set(node.inputs) & set(graph.inputs)) or node.output in graph.outputs


def _subgraphs(graph: Graph, left: set[int]) -> int:
    """Runs of taken nodes in file order, as TI's first partition counts them (a later step may merge some)."""
    flags = [node.index not in left for node in graph.nodes]
    return sum(flag and not (at and flags[at - 1]) for at, flag in enumerate(flags))


def _warnings(model: onnx.ModelProto, graph: Graph) -> list[str]:
    found = []
    if opset_of(model) > MAXIMUM_OPSET:
        found.append(f"opset {opset_of(model)} has to be lowered to {MAXIMUM_OPSET}, the newest that TI's tools read")
    if len(graph.nodes) > MAXIMUM_NODES:
        found.append(f"{len(graph.nodes)} nodes, a part holds at most {MAXIMUM_NODES}: the graph will be split")
    return found
