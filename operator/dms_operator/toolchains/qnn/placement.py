"""The delegation report: for each node of the model where it runs, why it does not run on the NPU, and what to try.

The provider writes beside a context model which ONNX nodes became which QNN operator, and its reason for each node that
it left (`qnn_op_trace.json`, provider option enable_framework_op_trace, schema 2).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from ...api.errors import ConversionFailed
from .delegation import ADVICE, NOT_COMPUTE

OP_TRACE = "qnn_op_trace.json"
_FOLDED = "folded into its neighbours"


@dataclass(frozen=True)
class OpTrace:
    """ONNX node name to (QNN operator name, its type), and node name to the reason why QNN left it."""

    placed: dict[str, tuple[str, str]]
    reasons: dict[str, str]


@dataclass(frozen=True)
class Placement:
    """One compute node of the model: `where` is npu or cpu."""

    node: str
    op_type: str
    shape: str
    where: str
    qnn_op: str = ""
    reason: str = ""
    suggestion: str = ""

    def to_wire(self) -> dict[str, str]:
        """Plain JSON object without empty fields."""
        names = {"op_type": "opType", "qnn_op": "qnnOp"}
        return {names.get(key, key): value for key, value in vars(self).items() if value}


def read_op_trace(path: Path) -> OpTrace:
    """Read the provider's file. Raises ConversionFailed when it is missing or of another schema."""
    try:
        document = json.loads(path.read_text())
        mappings = [op for graph in document["subgraph_traces"] for op in graph["op_mappings"]]
        placed = {name: (op["dst_name"], op["dst_qnn_op_type"]) for op in mappings for name in _sources(op)}
        reasons = {
            node["node_name"]: _first_sentence(str(node["reason"])) for node in document.get("unsupported_nodes", [])
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConversionFailed(f"the QNN compiler wrote no readable {OP_TRACE}: {error!r}") from error
    return OpTrace(placed, reasons)


def placements(model: onnx.ModelProto, trace: OpTrace, left: Iterable[str]) -> list[Placement]:
    """One row per compute node, in graph order; `left` names the nodes that the context model keeps for the CPU."""
    shapes, kept = _shapes(model), set(left)
    return [
        _placement(node, _shape_of(node, shapes), trace, kept)
        for node in model.graph.node
        if node.op_type not in NOT_COMPUTE
    ]


def _placement(node: onnx.NodeProto, shape: str, trace: OpTrace, kept: set[str]) -> Placement:
    if node.name in kept or node.name in trace.reasons:
        reason = trace.reasons.get(node.name, "QNN gave no reason")
        advice = ADVICE.get(node.op_type, "replace this operator in the model")
        return Placement(node.name, node.op_type, shape, "cpu", reason=reason, suggestion=advice)
    if found := _placed(node.name, trace.placed):
        return Placement(node.name, node.op_type, shape, "npu", qnn_op=f"{found[0]} ({found[1]})")
    return Placement(node.name, node.op_type, shape, "npu", qnn_op=_FOLDED)


def _placed(name: str, placed: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """ONNX Runtime's layout pass renames nodes to `<name>_token_<number>`."""
    if name in placed:
        return placed[name]
    prefix = f"{name}_token_"
    return next((op for other, op in placed.items() if name and other.startswith(prefix)), None)


def _first_sentence(reason: str) -> str:
    """The provider glues its sentences together without a space, and the second only repeats the node's name."""
    return re.split(r"\.(?=[A-Z])", reason)[0].rstrip(".")


def _sources(mapping: Mapping[str, Any]) -> list[str]:
    return [source["name"] for source in mapping["sources"] if source["type"] == "OP"]


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | str]]:
    inferred = onnx.shape_inference.infer_shapes(model)
    values = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
    return {
        value.name: [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in values
    }


def _shape_of(node: onnx.NodeProto, shapes: Mapping[str, list[int | str]]) -> str:
    """Shapes of data inputs and the first output, such as `1x3x16x16 -> 1x8x16x16`."""
    sources = [_written(shapes[name]) for name in node.input if name in shapes]
    result = _written(shapes[node.output[0]]) if node.output[0] in shapes else "?"
    return f"{', '.join(sources[:2]) or '?'} -> {result}"


def _written(shape: Iterable[int | str]) -> str:
    return "x".join(str(dim) for dim in shape) or "scalar"
