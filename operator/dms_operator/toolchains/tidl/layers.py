"""A model as the list of layers that the C7x runs, each with its arithmetic and its data: what `latency` prices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import onnx

from .fixed_point import MOVES
from .graph import Graph, Node, elements
from .patterns import ACTIVATIONS, find_fusions

_FREE = MOVES - {"Transpose", "Pad"} | {"Cast"}
"""Change no byte, or are merged into their neighbours."""


@dataclass(frozen=True)
class Layer:
    """One layer. `depth` and `width` are the matrix product's inner and output channels per group, for its tiling."""

    name: str
    op: str
    macs: int
    depth: int
    width: int
    group: int
    kernel_width: int
    read: int
    """Activation values read."""
    written: int
    weights: int
    """Weights, each read once per inference."""
    output: str = ""
    """The tensor that the layer ends in, past what is merged into it: TI's name for the layer."""


def layers_of(model: onnx.ModelProto) -> list[Layer]:
    """The layers in the order of the file; fused nodes count once, under the name of the one that computes."""
    graph = Graph(model)
    fused = {index: fusion for fusion in find_fusions(graph) for index in fusion.members}
    found = []
    for node in graph.nodes:
        fusion = fused.get(node.index)
        if node.op in _FREE or (fusion and fusion.output not in node.outputs) or _rides_along(graph, node):
            continue
        layer = _layer(graph, node, fusion.kind if fusion else node.op)
        found.append(replace(layer, output=_end(graph, node)))
    return found


def convolution(
    name: str,
    channels: tuple[int, int],
    kernel: tuple[int, int],
    planes: tuple[int, int],
    *,
    group: int = 1,
    op: str = "Conv",
) -> Layer:
    """A convolution from its shapes: channels (in, out), kernel (height, width), plane sizes (in, out)."""
    inner = channels[0] // group * kernel[0] * kernel[1]
    return Layer(
        name,
        op,
        macs=inner * channels[1] * planes[1],
        depth=inner,
        width=channels[1] // group,
        group=group,
        kernel_width=kernel[1],
        read=channels[0] * planes[0],
        written=channels[1] * planes[1],
        weights=inner * channels[1],
    )


def element_wise(name: str, op: str, read: int, written: int) -> Layer:
    """A layer without weights."""
    return Layer(name, op, 0, 0, 0, 1, 1, read, written, 0)


def _rides_along(graph: Graph, node: Node) -> bool:
    """An activation or batch norm that the layer before it runs."""
    if node.op not in ACTIVATIONS | {"BatchNormalization"}:
        return False
    before = graph.producers.get(node.inputs[0])
    return before is not None and before.op not in MOVES and graph.only_consumer(node.inputs[0]) is not None


def _end(graph: Graph, node: Node) -> str:
    name = node.output
    while (reader := graph.only_consumer(name)) and _rides_along(graph, reader):
        name = reader.output
    return name


def _layer(graph: Graph, node: Node, op: str) -> Layer:
    name = node.name or node.output
    if node.op in ("Conv", "ConvTranspose"):
        return _convolution(graph, node)
    if node.op in ("Gemm", "MatMul"):
        return _product(graph, node)
    read = sum(_size(graph, tensor) for tensor in graph.variables(node))
    return element_wise(name, op, read, sum(_size(graph, tensor) for tensor in node.outputs if tensor))


def _convolution(graph: Graph, node: Node) -> Layer:
    weight, group = graph.shape(node.inputs[1]) or (1, 1, 1, 1), int(node.attributes.get("group", 1))
    kernel = (weight[2] if len(weight) > 2 else 1, weight[3] if len(weight) > 3 else 1)
    before, after = graph.shape(node.inputs[0]) or (1, 1), graph.shape(node.output) or (1, 1)
    planes = (before[0] * elements(before[2:]), after[0] * elements(after[2:]))
    return convolution(node.name or node.output, (before[1], after[1]), kernel, planes, group=group, op=node.op)


def _product(graph: Graph, node: Node) -> Layer:
    first, second = (graph.shape(name) or (1, 1) for name in node.inputs[:2])
    output = graph.shape(node.output) or (1, 1)
    inner = first[0] if node.attributes.get("transA", 0) else first[-1]
    variable = not graph.is_constant(node.inputs[1])
    return Layer(
        node.name or node.output,
        node.op,
        macs=elements(output) * inner,
        depth=inner,
        width=output[-1],
        group=1,
        kernel_width=1,
        read=elements(first) + (elements(second) if variable else 0),
        written=elements(output),
        weights=0 if variable else elements(second),
    )


def _size(graph: Graph, name: str) -> int:
    shape = graph.shape(name)
    return elements(shape) if shape else 0


def totals(layers: list[Layer]) -> Mapping[str, int]:
    """Sums for reports."""
    return {
        "layers": len(layers),
        "macs": sum(layer.macs for layer in layers),
        "weights": sum(layer.weights for layer in layers),
    }
