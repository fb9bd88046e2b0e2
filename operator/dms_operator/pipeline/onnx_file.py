"""Read ONNX from an untrusted file, and find out what it takes and gives."""

import functools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from google.protobuf.message import Message
from pydantic import ValidationError

from ..api.errors import ModelInvalid, ModelShapeMismatch
from ..api.stages import TensorSpec
from .static_axes import refuse_open_axes, true_inputs
from .untrusted import told_as

MINIMUM_OPSET = 13
"""First opset with per-channel QuantizeLinear."""
_MOST_NODES = 100_000
"""A hundred times what nets for vehicles have; ONNX Runtime needs a second for every few thousand."""

_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "MatMulInteger", "ConvInteger"}
_DTYPES: dict[int, Any] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.BOOL: "bool",
}


Kind = TypeVar("Kind", bound=Message)


def read_float_model(path: Path) -> onnx.ModelProto:
    """Read a self-contained float ONNX file. Raises ModelInvalid."""
    with told_as(lambda _: ModelInvalid("the ONNX file is truncated or damaged", hint="Upload it again, whole")):
        model = onnx.load_model(path, load_external_data=False)
    _refuse_external_data(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        line = next(iter(str(error).splitlines()), "")[:300]
        raise ModelInvalid(f"the ONNX file is damaged or not valid ({line})", hint="Export it again") from error
    quantized = sorted({node.op_type for node in nodes(model.graph)} & _QUANTIZED)
    if quantized:
        raise ModelInvalid(f"the ONNX model is already quantized ({', '.join(quantized)})", hint="Give the float model")
    _refuse_training_mode(model)
    _refuse_too_many_nodes(model)
    return _at_least_minimum_opset(model)


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph, those of subgraphs included."""
    return nodes_of(graph.node)


def nodes_of(body: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Every node of a graph's or a function's body, those of subgraphs included."""
    for node in body:
        yield node
        for attribute in node.attribute:
            for subgraph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from nodes(subgraph)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant tensor: initializers and attributes, also of subgraphs, functions and sparse tensors."""
    yield from messages(model, onnx.TensorProto)


def messages(message: Message, kind: type[Kind]) -> Iterator[Kind]:
    """Every message of a kind: walking the protobuf itself cannot miss a place where the format lets one hide."""
    if isinstance(message, kind):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if field.is_repeated else [value]:
                yield from messages(child, kind)


def inputs_of(model: onnx.ModelProto) -> list[TensorSpec]:
    """The inputs with static shapes. Raises ModelShapeMismatch naming each dynamic axis."""
    inputs = true_inputs(model)
    if not inputs:
        raise ModelInvalid("the model takes no input", hint="Export it with its input tensors")
    for value in inputs:
        if not value.type.tensor_type.HasField("shape"):
            raise ModelShapeMismatch(f"the input {value.name} has no shape", hint="Export with static shapes")
    refuse_open_axes(inputs)
    return [_spec(value) for value in inputs]


def check_weights(model: onnx.ModelProto) -> int:
    """Number of parameters; raises ModelInvalid when one is NaN or infinite, or a node's attribute is NaN."""
    for node in nodes(model.graph):
        for attribute in node.attribute:
            if any(map(math.isnan, (attribute.f, *attribute.floats))):
                raise ModelInvalid(f"{attribute.name} of a node {node.op_type} is NaN", hint="Train or export again")
    for tensor in tensors(model):
        values = onnx.numpy_helper.to_array(tensor)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise ModelInvalid(
                f"the weight {tensor.name or '(unnamed)'} holds {count} NaN or infinite values",
                hint="Train or export again",
            )
    return sum(int(np.prod(weight.dims)) for weight in model.graph.initializer if weight.data_type in _FLOATS)


_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)


def _refuse_external_data(model: onnx.ModelProto) -> None:
    # The location is a path of the writer's choice: following it could read any file of the pod.
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelInvalid(
                f"the ONNX model keeps {tensor.name or 'a tensor'} in another file",
                hint="Save it as one file: torch.onnx.export(..., external_data=False)",
            )


def _refuse_training_mode(model: onnx.ModelProto) -> None:
    for node in nodes(model.graph):
        if any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute):
            raise ModelInvalid(
                f"the ONNX model was exported in training mode ({node.op_type})", hint="Call model.eval() first"
            )


def _refuse_too_many_nodes(model: onnx.ModelProto) -> None:
    """Functions that call functions ten times each grow beyond all bounds when ONNX Runtime puts them in place."""
    bodies = {(each.domain, each.name): each.node for each in model.functions}

    @functools.cache
    def size(key: tuple[str, str]) -> int:
        return total(bodies[key])

    def total(body: Iterable[onnx.NodeProto]) -> int:
        keys = [(node.domain, node.op_type) for node in nodes_of(body)]
        return sum(size(key) if key in bodies else 1 for key in keys)

    count = total(model.graph.node)
    if count > _MOST_NODES:
        raise ModelInvalid(
            f"the ONNX model has {count} nodes, those of its functions included",
            hint=f"Make it smaller: at most {_MOST_NODES}",
        )


def _at_least_minimum_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset >= MINIMUM_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, MINIMUM_OPSET)
    except Exception as error:
        raise ModelInvalid(
            f"the ONNX model has opset {opset} and cannot be raised to {MINIMUM_OPSET} ({str(error)[:200]})",
            hint="Export it with opset 20",
        ) from error


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise ModelInvalid(
            f"the input {value.name} is of type {onnx.TensorProto.DataType.Name(tensor.elem_type)}",
            hint="Export it as float32",
        )
    shape = [dimension.dim_value for dimension in tensor.shape.dim]
    if not value.name.isprintable():
        raise ModelInvalid(f"the input {value.name[:40]!r} has control characters in its name", hint="Rename it")
    try:
        return TensorSpec(name=value.name, shape=shape, dtype=_DTYPES[tensor.elem_type])
    except ValidationError as error:
        raise ModelInvalid(
            f"the input {value.name[:40]} of shape {shape[:8]} is beyond what a spec can say",
            hint="Use at most 8 axes of at most 1000000, and a name of at most 128 characters",
        ) from error
