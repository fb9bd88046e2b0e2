"""A float model with TIDL's fixed-point arithmetic as QDQ nodes: runs in ONNX Runtime, and TI's tools can import it.

Power-of-two symmetric scales, one per tensor, 8 or 16 bits (`powers`). Quantized are the outputs of TIDL's layers:
what TIDL runs as one layer (convolution with batch norm and Relu, LayerNorm, GELU) is not quantized inside, and what
only moves data keeps its scale. Not modelled: TI's bias calibration, which gives some of the loss back
(accuracy_level 1), its tables for exp, erf and sigmoid, and rounding inside the accumulator. Sources: TI
edgeai-tidl-tools docs/quantization.md ("TIDL Layer Quantization Restrictions").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ..onnx_graph import reads
from .graph import Graph, Node
from .patterns import find_fusions
from .powers import scale_for

Range = tuple[float, float]

MOVES = {"Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Pad", "Slice", "Split", "Identity", "Dropout"}
"""Need no QDQ nodes of their own (TI's table); values pass unchanged."""
SAME_SCALE = {"MaxPool", "Gather", "DepthToSpace", "SpaceToDepth"}
"""Need QDQ nodes, with the input's scale."""
CHANGEABLE = {"Conv", "Gemm", "MatMul", "BatchNormalization", "AveragePool", "GlobalAveragePool", "Add", "Sub", "Mul"}
"""Layers that may differ in precision from their neighbours (TI docs/quantization.md, "Manual Mixed Precision")."""
_FUSING = {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add", "Sub", "Mul", "Div"}
_FUSED_AFTER = {"Relu", "Clip", "PRelu", "LeakyRelu", "BatchNormalization"}
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_CONSTANT_OPERANDS = _WEIGHTED | {"Add", "Sub", "Mul", "Max", "Min", "LayerNormalization"}
_TYPES: dict[tuple[int, bool], tuple[int, type[np.integer[Any]]]] = {
    (8, True): (TensorProto.INT8, np.int8),
    (8, False): (TensorProto.UINT8, np.uint8),
    (16, True): (TensorProto.INT16, np.int16),
    (16, False): (TensorProto.UINT16, np.uint16),
}
BEFORE, _DEQUANTIZED = "_QuantizeLinear_Input", "_DequantizeLinear_Output"
"""What onnxruntime's quantizer adds to names; its other readers know tensors by them."""
_CONTRIB = "com.microsoft"
"""Holds 16-bit Q/DQ for opsets below 21, which TI's opset 19 is."""


@dataclass(frozen=True)
class Step:
    """How one tensor is quantized."""

    scale: float
    bits: int
    signed: bool


@dataclass(frozen=True)
class Precision:
    """8 or 16 bits for all, and the tensors (outputs of layers) that have 16 in an 8-bit model."""

    bits: int = 8
    wide: frozenset[str] = field(default=frozenset())

    def of(self, tensor: str) -> int:
        """Bits of a tensor and of the weights of the layer that makes it."""
        return 16 if tensor in self.wide else self.bits

    @property
    def name(self) -> str:
        """Short form for reports."""
        mixed = f", {len(self.wide)} layers 16-bit" if self.wide and self.bits == 8 else ""
        return f"w{self.bits}a{self.bits} power-of-two per-tensor{mixed}"


def to_fixed_point(
    model: onnx.ModelProto,
    ranges: Mapping[str, Range],
    precision: Precision | None = None,
    weight_scales: Mapping[str, float] | None = None,
) -> onnx.ModelProto:
    """Insert QDQ nodes by `ranges`: the lowest and highest value of every float tensor in calibration.

    `weight_scales` are steps that were learned with the weights; the others follow from the largest weight.
    """
    return _Quantizer(model, ranges, precision or Precision(), weight_scales or {}).run()


def activation_steps(graph: Graph, ranges: Mapping[str, Range], precision: Precision) -> dict[str, Step]:
    """The step of every tensor that TIDL quantizes, in the graph's order."""
    inside = _internal(graph)
    steps: dict[str, Step] = {}
    for name in graph.inputs:
        if name in ranges:
            steps[name] = step_for(ranges[name], precision.of(name))
    for node in graph.nodes:
        for name in node.outputs:
            if name not in ranges or name in inside or node.op in MOVES:
                continue
            before = steps.get(_origin(graph, node.inputs[0])) if node.op in SAME_SCALE else None
            steps[name] = before or step_for(ranges[name], precision.of(name))
    return steps


def step_for(span: Range, bits: int) -> Step:
    """Signed where a value is negative, else unsigned with one more bit of resolution."""
    signed = span[0] < 0
    return Step(scale_for(max(abs(span[0]), abs(span[1])), bits, signed=signed), bits, signed)


def quantized(values: NDArray[Any], step: Step) -> NDArray[Any]:
    """Round to the step's integers, halves to even as ONNX does, and saturate."""
    kind = _TYPES[step.bits, step.signed][1]
    limits = np.iinfo(kind)
    integers: NDArray[Any] = np.clip(np.rint(values.astype(np.float64) / step.scale), limits.min, limits.max)
    return integers.astype(kind)


def _internal(graph: Graph) -> set[str]:
    """Tensors inside what TIDL runs as one layer."""
    fusions = find_fusions(graph)
    ends = {fusion.output for fusion in fusions}
    members = {index for fusion in fusions for index in fusion.members}
    found = {name for node in graph.nodes if node.index in members for name in node.outputs if name not in ends}
    for node in graph.nodes:
        reader = graph.only_consumer(node.output)
        if node.op not in _FUSING or reader is None or reader.index in members:
            continue
        bias = node.op == "MatMul" and reader.op == "Add" and _has_vector(graph, reader)
        if reader.op in _FUSED_AFTER or bias:
            found.add(node.output)
    return found


def _has_vector(graph: Graph, node: Node) -> bool:
    return any(len(graph.shape(name) or ()) == 1 for name in node.inputs if graph.is_constant(name))


def _origin(graph: Graph, name: str) -> str:
    """The tensor whose values a tensor holds, moved about."""
    while (node := graph.producers.get(name)) and node.op in MOVES:
        name = node.inputs[0]
    return name


class _Quantizer:
    """Rewrites one graph."""

    def __init__(
        self,
        model: onnx.ModelProto,
        ranges: Mapping[str, Range],
        precision: Precision,
        weight_scales: Mapping[str, float],
    ) -> None:
        self._weight_scales = weight_scales
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._graph = Graph(model)
        self._precision = precision
        self._steps = activation_steps(self._graph, ranges, precision)
        self._inside = {index for fusion in find_fusions(self._graph) for index in fusion.members}
        self._nodes: list[onnx.NodeProto] = []
        self._known: set[str] = set()

    def run(self) -> onnx.ModelProto:
        graph = self._model.graph
        views = {node.index: node for node in self._graph.nodes}
        renamed = {
            name: self._pair(name, name, f"{name}{_DEQUANTIZED}") for name in self._graph.inputs if name in self._steps
        }
        for index, node in enumerate(graph.node):
            for at, name in enumerate(node.input):
                node.input[at] = renamed.get(name, name)
            if index in views:
                self._quantize_constants(node, views[index])
            self._nodes.append(node)
            self._quantize_outputs(node)
        self._keep_shapes(renamed)
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self._nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        self._drop_unused()
        if any(step.bits == 16 for step in self._steps.values()) or self._precision.bits == 16:
            self._model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))
        return self._model

    def _keep_shapes(self, renamed: Mapping[str, str]) -> None:
        """Say the shapes of what inputs become: ONNX's inference does not look through com.microsoft's 16-bit nodes."""
        graph = self._model.graph
        for value in graph.input:
            if value.name in renamed:
                shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
                self._say_shape(renamed[value.name], shape)

    def _say_shape(self, name: str, shape: Sequence[int]) -> None:
        self._model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def _quantize_outputs(self, node: onnx.NodeProto) -> None:
        for at, name in enumerate(node.output):
            if name in self._steps:
                node.output[at] = f"{name}{BEFORE}"
                self._pair(name, f"{name}{BEFORE}", name)

    def _pair(self, tensor: str, source: str, target: str) -> str:
        """Quantize and dequantize `source` by the step of `tensor`."""
        step = self._steps[tensor]
        scale, zero = self._parameters(tensor, step.scale, _TYPES[step.bits, step.signed][0])
        middle = f"{tensor}_QuantizeLinear_Output"
        domain = _CONTRIB if step.bits == 16 else ""
        quantize = helper.make_node(
            "QuantizeLinear", [source, scale, zero], [middle], f"{tensor}_QuantizeLinear", domain=domain
        )
        dequantize = helper.make_node(
            "DequantizeLinear", [middle, scale, zero], [target], f"{tensor}_DequantizeLinear", domain=domain
        )
        self._nodes += [quantize, dequantize]
        return target

    def _quantize_constants(self, node: onnx.NodeProto, view: Node) -> None:
        if view.op not in _CONSTANT_OPERANDS or view.index in self._inside:
            return
        bits = self._precision.of(self._layer_output(view))
        weight: Step | None = None
        for at, name in enumerate(view.inputs[:2]):
            value = self._graph.constant(name) if name else None
            if value is not None and value.size > 1 and np.issubdtype(value.dtype, np.floating):
                weight = step_for((-float(np.abs(value).max()), 0.0), bits)
                weight = replace(weight, scale=self._weight_scales.get(name, weight.scale))
                key = name if bits == self._precision.bits else f"{name}/{bits}"
                node.input[at] = self._constant(key, quantized(value, weight), weight.scale, weight.bits)
        bias = self._graph.constant(view.inputs[2]) if len(view.inputs) > 2 and view.op in _WEIGHTED else None
        source = self._steps.get(_origin(self._graph, view.inputs[0]))
        if bias is not None and weight and source and bits == source.bits == 8:
            shared = f"{view.inputs[2]}{_DEQUANTIZED}" in self._known
            key = f"{view.output}/bias" if shared else view.inputs[2]
            node.input[2] = self._bias(key, bias, source.scale * weight.scale)

    def _layer_output(self, view: Node) -> str:
        """The tensor that the layer of a node ends in, past what is fused to it."""
        name = view.output
        while name not in self._steps and (reader := self._graph.only_consumer(name)):
            name = reader.output
        return name

    def _bias(self, key: str, value: NDArray[Any], scale: float) -> str:
        limits = np.iinfo(np.int32)
        integers = np.clip(np.rint(value.astype(np.float64) / scale), limits.min, limits.max)
        return self._constant(key, integers.astype(np.int32), scale, bits=8)

    def _constant(self, key: str, integers: NDArray[Any], scale: float, bits: int) -> str:
        """Store a constant's integers, once per key; gives the name of the dequantized tensor."""
        target = f"{key}{_DEQUANTIZED}"
        if target not in self._known:
            self._known.add(target)
            stored = numpy_helper.from_array(integers, f"{key}_quantized")
            self._model.graph.initializer.append(stored)
            names = self._parameters(key, scale, stored.data_type)
            self._say_shape(target, integers.shape)
            domain = _CONTRIB if bits == 16 else ""
            inputs = [stored.name, *names]
            self._nodes.append(
                helper.make_node("DequantizeLinear", inputs, [target], f"{key}_DequantizeLinear", domain=domain)
            )
        return target

    def _parameters(self, key: str, scale: float, kind: int) -> tuple[str, str]:
        names = f"{key}_scale", f"{key}_zero_point"
        self._model.graph.initializer.append(helper.make_tensor(names[0], TensorProto.FLOAT, [], [scale]))
        self._model.graph.initializer.append(helper.make_tensor(names[1], kind, [], [0]))
        return names

    def _drop_unused(self) -> None:
        graph = self._model.graph
        used = {name for node in graph.node for name in reads(node)} | {value.name for value in graph.output}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
