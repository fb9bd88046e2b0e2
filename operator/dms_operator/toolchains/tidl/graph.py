"""A model's compute graph as TIDL sees it: quantization nodes looked through, shapes and constants at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

QUANTIZATION = {"QuantizeLinear", "DequantizeLinear"}
NOT_COMPUTE = QUANTIZATION | {"Constant"}

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One compute node; tensor names are those before any quantization. `index` is its place in the file."""

    index: int
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def output(self) -> str:
        """The first output."""
        return self.outputs[0]

    def __str__(self) -> str:
        return f"{self.name or self.output} ({self.op})"


class Graph:
    """The view. Shapes are those that ONNX's shape inference finds; an unknown one is None."""

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self._behind: dict[str, str] = {}
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._shapes = _shapes(inferred)
        self.inputs = [value.name for value in model.graph.input if value.name not in self._constants]
        self.nodes: list[Node] = []
        for index, node in enumerate(model.graph.node):
            self._take(index, node)
        self.outputs = [self.behind(value.name) for value in model.graph.output]

    def _take(self, index: int, node: onnx.NodeProto) -> None:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            self._constants[node.output[0]] = node.attribute[0].t
        elif node.op_type in QUANTIZATION:
            self._behind[node.output[0]] = self.behind(node.input[0])
        elif node.op_type not in NOT_COMPUTE:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            inputs = tuple(self.behind(name) for name in node.input)
            self.nodes.append(Node(index, node.name, node.op_type, inputs, tuple(node.output), attributes))

    def behind(self, name: str) -> str:
        """The tensor behind quantization nodes."""
        return self._behind.get(name, name)

    @cached_property
    def producers(self) -> dict[str, Node]:
        """The node that makes a tensor."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read a tensor."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return found

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is a weight (possibly quantized)."""
        return name in self._constants

    def constant(self, name: str) -> NDArray[Any] | None:
        """A constant's value; None for anything else. A quantized weight gives its integers."""
        return numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one element; None for anything else."""
        value = self.constant(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def shape(self, name: str) -> Shape | None:
        """A tensor's static shape, or None when it is not known."""
        if name in self._constants:
            return tuple(self._constants[name].dims)
        return self._shapes.get(name)

    def variables(self, node: Node) -> list[str]:
        """A node's inputs that are not constants; absent optional inputs do not count."""
        return [name for name in node.inputs if name and not self.is_constant(name)]

    def only_consumer(self, name: str) -> Node | None:
        """The one node that reads a tensor; None when there are more, or it is a graph output."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None


def _shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def elements(shape: Shape) -> int:
    """Number of elements."""
    return int(np.prod(shape, dtype=np.int64))


def opset_of(model: onnx.ModelProto) -> int:
    """Version of ONNX's own operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
