"""Brings a model to what TI's ONNX Runtime 1.15 reads (opset 19, IR 8) without changing what it computes."""

from collections import Counter

import onnx
from onnx import TensorProto, helper

from ...api.errors import ConversionFailed
from .graph import opset_of
from .operators import IR_VERSION, MAXIMUM_OPSET

_GELU = "Gelu"
_CONTRIB = {"com.microsoft"}


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy at opset 19 or lower, with shapes inferred; GELU is written out so that TIDL fuses it.

    A newer opset is only a label while each of its operators is still the one of opset 19. Raises ConversionFailed
    naming the operators that are not.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    opset = opset_of(copy)
    if opset > MAXIMUM_OPSET:
        _expand_gelus(copy.graph)
        _refuse_newer(copy, opset)
        for entry in copy.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = MAXIMUM_OPSET
    copy.ir_version = min(copy.ir_version, IR_VERSION)
    return onnx.shape_inference.infer_shapes(copy)


def _refuse_newer(model: onnx.ModelProto, opset: int) -> None:
    newer: Counter[str] = Counter()
    for node in model.graph.node:
        if node.domain in _CONTRIB:
            continue
        try:
            since = onnx.defs.get_schema(node.op_type, opset, node.domain).since_version
        except onnx.defs.SchemaError:
            continue  # not an operator of ONNX: the pre-flight names it
        if since > MAXIMUM_OPSET:
            newer[f"{node.op_type} (opset {since})"] += 1
    if newer:
        named = ", ".join(f"{name} x{count}" for name, count in newer.most_common(10))
        raise ConversionFailed(
            f"the model is of opset {opset}, TI's tools read up to {MAXIMUM_OPSET}, and these operators changed since: "
            f"{named}",
            hint=f"Export the model with opset {MAXIMUM_OPSET} or lower",
        )


def _expand_gelus(graph: onnx.GraphProto) -> None:
    """Gelu (exact, opset 20) as 0.5 x (1 + erf(x / sqrt 2)), the five nodes that TIDL maps to one layer."""
    nodes = list(graph.node)
    if not any(_is_exact_gelu(node) for node in nodes):
        return
    constants = {"root2": 2.0**0.5, "one": 1.0, "half": 0.5}
    for name, value in constants.items():
        graph.initializer.append(helper.make_tensor(f"tidl_gelu_{name}", TensorProto.FLOAT, [], [value]))
    del graph.node[:]
    for node in nodes:
        graph.node.extend(_gelu_nodes(node) if _is_exact_gelu(node) else [node])


def _is_exact_gelu(node: onnx.NodeProto) -> bool:
    approximate = next((helper.get_attribute_value(each) for each in node.attribute), b"none")
    return bool(node.op_type == _GELU and node.domain == "" and approximate == b"none")


def _gelu_nodes(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    source, target, name = node.input[0], node.output[0], node.name or node.output[0]
    steps = [f"{target}/{step}" for step in ("scaled", "erf", "shifted", "product")]
    return [
        helper.make_node("Div", [source, "tidl_gelu_root2"], [steps[0]], f"{name}/div"),
        helper.make_node("Erf", [steps[0]], [steps[1]], f"{name}/erf"),
        helper.make_node("Add", [steps[1], "tidl_gelu_one"], [steps[2]], f"{name}/add"),
        helper.make_node("Mul", [source, steps[2]], [steps[3]], f"{name}/mul"),
        helper.make_node("Mul", [steps[3], "tidl_gelu_half"], [target], f"{name}/half"),
    ]
