"""From our QDQ model to what the SDK's converters take: a float model, and quantization overrides with its scales.

So the ladder's own scales, not the SDK's calibration, decide the accuracy. Overrides are AIMET's encoding format 0.6.1,
the one that `--quantization_overrides` reads: real = scale * (q + offset) with unsigned q.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from ...api.errors import ConversionFailed

VERSION = "0.6.1"
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_BITS: dict[int, tuple[int, bool]] = {
    TensorProto.UINT4: (4, False),
    TensorProto.INT4: (4, True),
    TensorProto.UINT8: (8, False),
    TensorProto.INT8: (8, True),
    TensorProto.UINT16: (16, False),
    TensorProto.INT16: (16, True),
}
"""Quantized element types to bits and sign. int32 biases have no override: the quantizer derives their scale."""

Encoding = dict[str, Any]


@dataclass
class FloatModel:
    """The model without (de)quantization, and its overrides; a float model has none."""

    model: onnx.ModelProto
    activations: dict[str, list[Encoding]] = field(default_factory=dict)
    parameters: dict[str, list[Encoding]] = field(default_factory=dict)

    @property
    def quantized(self) -> bool:
        """Whether there is any override."""
        return bool(self.activations or self.parameters)

    def to_wire(self) -> dict[str, Any]:
        """The document of `--quantization_overrides`."""
        return {
            "version": VERSION,
            "activation_encodings": self.activations,
            "param_encodings": self.parameters,
        }


def float_model(qdq: onnx.ModelProto) -> FloatModel:
    """Split a QDQ model. Raises ConversionFailed for a (de)quantization that is not part of a pair."""
    model = onnx.ModelProto()
    model.CopyFrom(qdq)
    result = FloatModel(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    renamed: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == _DEQUANTIZE and node.input[0] in constants:
            _add_parameter(result, node, constants)
        elif node.op_type == _DEQUANTIZE:
            source = producers.get(node.input[0])
            if source is None or source.op_type != _QUANTIZE:
                raise ConversionFailed(f"{node.name or node.output[0]} dequantizes what no node quantized")
            origin = renamed.get(source.input[0], source.input[0])
            renamed[node.output[0]] = origin
            # a tensor that is requantized keeps its producer's own scale
            result.activations.setdefault(origin, [_encodings(node, constants)[0]])
    for value in model.graph.output:
        if value.name in renamed:
            result.activations[value.name] = result.activations[renamed[value.name]]
    _without_pairs(model.graph, renamed)
    return result


def _add_parameter(result: FloatModel, node: onnx.NodeProto, constants: dict[str, TensorProto]) -> None:
    tensor, name = constants[node.input[0]], node.output[0]
    values = _dequantized(node, constants)
    result.model.graph.initializer.append(numpy_helper.from_array(values, name))
    if tensor.data_type in _BITS:
        result.parameters[name] = _encodings(node, constants)


def _dequantized(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> NDArray[np.float32]:
    values, scale, zero = _arrays(node, constants)
    axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
    if scale.size > 1:
        shape = [-1 if place == axis % values.ndim else 1 for place in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    result: NDArray[np.float32] = ((values - zero) * scale).astype(np.float32)
    return result


def _arrays(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    values = numpy_helper.to_array(constants[node.input[0]]).astype(np.int64)
    return values, *_scale_and_zero(node, constants)


def _scale_and_zero(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        scale = numpy_helper.to_array(constants[node.input[1]]).astype(np.float64)
        given = len(node.input) > 2 and node.input[2]
        zero = numpy_helper.to_array(constants[node.input[2]]).astype(np.int64) if given else np.zeros_like(scale)
    except (KeyError, IndexError) as error:
        raise ConversionFailed(f"{node.name or node.output[0]} has no constant scale") from error
    return np.atleast_1d(scale), np.atleast_1d(zero)


def _encodings(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> list[Encoding]:
    kind = constants[node.input[2]].data_type if len(node.input) > 2 else TensorProto.UINT8
    if kind not in _BITS:
        raise ConversionFailed(f"{node.name or node.output[0]} has the type {onnx.helper.tensor_dtype_to_string(kind)}")
    bits, signed = _BITS[kind]
    scales, zeros = _scale_and_zero(node, constants)
    return [encoding(float(s), int(z), bits, signed=signed) for s, z in zip(scales, zeros, strict=True)]


def encoding(scale: float, zero_point: int, bits: int, *, signed: bool) -> Encoding:
    """One AIMET encoding of an ONNX scale and zero point; signed values are shifted to unsigned ones."""
    offset = -(zero_point + (1 << bits - 1)) if signed else -zero_point
    return {
        "bitwidth": bits,
        "dtype": "int",
        "is_symmetric": str(signed and zero_point == 0),
        "scale": scale,
        "offset": offset,
        "min": scale * offset,
        "max": scale * (offset + (1 << bits) - 1),
    }


def _without_pairs(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    """Drop the nodes, let consumers read the float tensors, and keep the names of the graph's outputs."""
    kept = [node for node in graph.node if node.op_type not in (_QUANTIZE, _DEQUANTIZE)]
    outputs = {value.name for value in graph.output}
    for name in outputs & set(renamed):
        # an output keeps its name: the converter and the user know the net by it
        kept.append(onnx.helper.make_node("Identity", [renamed[name]], [name], name=f"{name}_output"))
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    used = {name for node in kept for name in node.input} | outputs
    _replace(graph.node, kept)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    del graph.value_info[:]


def _replace(field_: Any, items: Iterable[Any]) -> None:
    copies = list(items)
    del field_[:]
    field_.extend(copies)
