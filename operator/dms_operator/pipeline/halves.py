"""Half-precision ONNX as float32: the same weights in the type that quantizers and compilers start from."""

import onnx

from .onnx_file import messages, nodes, nodes_of, tensors

HALVES = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
_TYPE_ATTRIBUTES = {"to", "dtype", "stash_type"}
"""Attributes of ONNX operators that hold an element type."""


def holds_halves(model: onnx.ModelProto) -> bool:
    """Whether any weight, input, output or inner tensor is a half."""
    return any(tensor.data_type in HALVES for tensor in tensors(model)) or any(
        kind.elem_type in HALVES for kind in messages(model, onnx.TypeProto.Tensor)
    )


def widen(model: onnx.ModelProto) -> None:
    """Make every half a float32, in place. Weights keep their values: each half is a float32, too."""
    for tensor in list(tensors(model)):
        if tensor.data_type in HALVES:
            values = onnx.numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for kind in messages(model, onnx.TypeProto.Tensor):
        if kind.elem_type in HALVES:
            kind.elem_type = onnx.TensorProto.FLOAT
    for node in [*nodes(model.graph), *(node for function in model.functions for node in nodes_of(function.node))]:
        for attribute in node.attribute:
            if attribute.name in _TYPE_ATTRIBUTES and attribute.i in HALVES:
                attribute.i = onnx.TensorProto.FLOAT
    _pass_through_needless_casts(model)


def _pass_through_needless_casts(model: onnx.ModelProto) -> None:
    """Casts between halves and float32 have nothing left to do, and no NPU takes them."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    floats = {
        value.name
        for value in [*graph.input, *graph.value_info]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    } | {weight.name for weight in graph.initializer if weight.data_type == onnx.TensorProto.FLOAT}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in floats and node.attribute[0].i == onnx.TensorProto.FLOAT:
            node.op_type = "Identity"
            del node.attribute[:]
