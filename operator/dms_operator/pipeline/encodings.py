"""The integer grids of a QDQ model: read from its Q/DQ nodes, and written as Qualcomm's quantization overrides."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]

_BITS: dict[int, tuple[int, bool]] = {
    onnx.TensorProto.INT4: (4, True),
    onnx.TensorProto.UINT4: (4, False),
    onnx.TensorProto.INT8: (8, True),
    onnx.TensorProto.UINT8: (8, False),
    onnx.TensorProto.INT16: (16, True),
    onnx.TensorProto.UINT16: (16, False),
    onnx.TensorProto.INT32: (32, True),
}
_SUFFIXES = ("_quantized", "_QuantizeLinear_Input")
"""What onnxruntime's quantizer adds to the name of a weight, and to that of a graph output before its Q."""


@dataclass(frozen=True)
class Encoding:
    """value = scale * (code - zero_point), with one scale per slice of `axis`, or one for all ([])."""

    scale: Array
    zero_point: Array
    bits: int
    signed: bool
    axis: int | None

    @property
    def lowest_code(self) -> int:
        """The least code of the type."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    def decoded(self, codes: Array) -> Array:
        """The values of codes."""
        shape = [1] * codes.ndim
        if self.axis is not None:
            shape[self.axis] = -1
        scale, zero = self.scale.reshape(shape), self.zero_point.astype(np.float32).reshape(shape)
        return np.asarray((codes.astype(np.float32) - zero) * scale, np.float32)


@dataclass(frozen=True)
class Encodings:
    """The encodings of a QDQ model by the float model's tensor names."""

    activations: dict[str, Encoding]
    weights: dict[str, Encoding]
    """Biases too, as far as they are stored as integers."""


def read_encodings(model: onnx.ModelProto) -> Encodings:
    """What every quantized tensor is encoded as; where a tensor is converted between types, what it is first made."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    produced = {name: node.op_type for node in model.graph.node for name in node.output}
    found = Encodings({}, {})
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            found.weights.setdefault(_float_name(node.input[0]), _encoding(node, constants))
        elif node.op_type == "QuantizeLinear" and produced.get(node.input[0]) != "DequantizeLinear":
            found.activations.setdefault(_float_name(node.input[0]), _encoding(node, constants))
    return found


def decoded_weights(model: onnx.ModelProto) -> Iterator[tuple[str, Array]]:
    """Every quantized weight by its float name, as the float values that its codes stand for."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            codes = onnx.numpy_helper.to_array(constants[node.input[0]])
            yield _float_name(node.input[0]), _encoding(node, constants).decoded(codes)


ENCODINGS = "encodings.json"
"""The file of a variant's artifact that holds its overrides."""


def write_overrides(model: Path) -> Path:
    """Write the overrides of a QDQ model beside it."""
    target = model.with_name(ENCODINGS)
    found = overrides_json(read_encodings(onnx.load_model(model)))
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return target


def overrides_json(encodings: Encodings) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Qualcomm's quantization overrides (`--quantization_overrides` of qairt-converter): one entry per scale.

    There codes are unsigned and value = scale * (code + offset), so that offset is minus the zero point's place above
    the least code (QAIRT documentation, "Quantization overrides").
    """
    return {
        "activation_encodings": {name: _entries(each) for name, each in sorted(encodings.activations.items())},
        "param_encodings": {name: _entries(each) for name, each in sorted(encodings.weights.items())},
    }


def _entries(encoding: Encoding) -> list[dict[str, Any]]:
    symmetric = encoding.signed and not encoding.zero_point.any()
    pairs = zip(encoding.scale.ravel(), encoding.lowest_code - encoding.zero_point.ravel(), strict=True)
    return [
        {
            "bitwidth": encoding.bits,
            "dtype": "int",
            "is_symmetric": str(symmetric),
            "max": float(scale) * (2**encoding.bits - 1 + int(offset)),
            "min": float(scale) * int(offset),
            "offset": int(offset),
            "scale": float(scale),
        }
        for scale, offset in pairs
    ]


def _encoding(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> Encoding:
    scale = onnx.numpy_helper.to_array(constants[node.input[1]])
    zero = constants[node.input[2]]
    bits, signed = _BITS[zero.data_type]
    axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
    # int32 keeps the zero points of every type, those of 4 bits included, which numpy itself does not know
    points = onnx.numpy_helper.to_array(zero).astype(np.int32)
    return Encoding(scale, points, bits, signed, axis if scale.ndim and scale.size > 1 else None)


def _float_name(name: str) -> str:
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
