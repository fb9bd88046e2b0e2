"""The layers of an ONNX graph that multiply by a constant weight: Conv, Gemm and MatMul, with their biases."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class LinearLayer:
    """One multiplication by a weight, and the addition of its bias if it has one."""

    node: onnx.NodeProto
    weight: str
    weight_shape: tuple[int, ...]
    bias: str | None
    output: str
    """The tensor after the bias."""
    groups: int
    output_axis: int
    """Axis of the weight that runs over output channels; a convolution's input channels are split into groups."""

    @property
    def input(self) -> str:
        """The activation that is multiplied."""
        return str(self.node.input[0])

    def matrix(self, weight: Array) -> Array:
        """The weight as [groups, output channels per group, inputs per group]."""
        rows = np.moveaxis(weight, self.output_axis, 0)
        return rows.reshape(self.groups, rows.shape[0] // self.groups, -1)

    def weight_of(self, matrix: Array, shape: tuple[int, ...]) -> Array:
        """The inverse of `matrix` for a weight of this shape."""
        rows = [shape[self.output_axis], *np.delete(shape, self.output_axis)]
        return np.ascontiguousarray(np.moveaxis(matrix.reshape(rows), 0, self.output_axis))

    def by_input_channel(self, weight: Array) -> Array:
        """The weight as [input channels, everything that multiplies this channel]."""
        rows = np.moveaxis(weight, self.output_axis, 0)
        split = rows.reshape(self.groups, rows.shape[0] // self.groups, rows.shape[1], -1)
        return np.moveaxis(split, 2, 1).reshape(self.groups * rows.shape[1], -1)

    def scaled(self, weight: Array, *, outputs: Array | None = None, inputs: Array | None = None) -> Array:
        """The weight with each output or input channel multiplied by its factor."""
        matrix = self.matrix(weight)
        if outputs is not None:
            matrix = matrix * outputs.reshape(self.groups, -1, 1)
        if inputs is not None:
            per_group = inputs.reshape(self.groups, 1, -1)
            matrix = matrix * np.repeat(per_group, matrix.shape[2] // per_group.shape[2], axis=2)
        return self.weight_of(matrix, weight.shape).astype(weight.dtype)


class Weights:
    """A graph's float initializers by name, readable and replaceable."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors and self._tensors[name].data_type == onnx.TensorProto.FLOAT

    def __getitem__(self, name: str) -> Array:
        return np.array(onnx.numpy_helper.to_array(self._tensors[name]))

    def __setitem__(self, name: str, value: Array) -> None:
        self._tensors[name].CopyFrom(onnx.numpy_helper.from_array(np.asarray(value, np.float32), name))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an initializer."""
        return tuple(self._tensors[name].dims)


def uses(model: onnx.ModelProto) -> Counter[str]:
    """How often each tensor is read, being a graph output included."""
    read = Counter(name for node in model.graph.node for name in node.input)
    read.update(output.name for output in model.graph.output)
    return read


def linear_layers(model: onnx.ModelProto) -> Iterator[LinearLayer]:
    """Every linear layer whose weight is a float initializer, in the graph's order."""
    weights, read = Weights(model), uses(model)
    readers = {name: node for node in model.graph.node for name in node.input}
    for node in model.graph.node:
        if len(node.input) < 2 or node.input[1] not in weights:
            continue
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        weight = str(node.input[1])
        shape = weights.shape(weight)
        if node.op_type == "Conv":
            yield LinearLayer(node, weight, shape, _third(node), node.output[0], attributes.get("group", 1), 0)
        elif node.op_type == "Gemm" and attributes.get("transA", 0) == 0:
            if attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0:
                axis = 0 if attributes.get("transB", 0) else 1
                yield LinearLayer(node, weight, shape, _third(node), node.output[0], 1, axis)
        elif node.op_type == "MatMul" and len(shape) == 2:
            bias, output = _added(node, weights, read, readers)
            yield LinearLayer(node, weight, shape, bias, output, 1, 1)


def _third(node: onnx.NodeProto) -> str | None:
    return node.input[2] if len(node.input) > 2 and node.input[2] else None


def _added(
    node: onnx.NodeProto, weights: Weights, read: Counter[str], readers: dict[str, onnx.NodeProto]
) -> tuple[str | None, str]:
    """The bias that an Add after a MatMul adds to each channel, and the tensor after it."""
    output = node.output[0]
    adder = readers.get(output)
    if adder is None or adder.op_type != "Add" or read[output] != 1:
        return None, output
    [bias] = [name for name in adder.input if name != output] or [output]
    if bias in weights and weights.shape(bias) == weights.shape(node.input[1])[1:]:
        return bias, adder.output[0]
    return None, output
