"""Graph surgery: nodes that TIDL does not take, written as nodes that it does, with the same result.

The same as TI's own tidl-onnx-model-optimizer does for its users. Each rewrite is exact up to float rounding.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .graph import Graph, Node, Shape, elements
from .patterns import find_fusions
from .rules import LARGEST_GLOBAL_PLANE

Nodes = list[onnx.NodeProto]
_DIMENSIONS = 4
"""Batch, channels, height and width."""


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with every rewrite applied where it is needed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    view = Graph(copy)
    inside = {index for fusion in find_fusions(view) for index in fusion.members}
    replaced: dict[int, Nodes] = {}
    for node in view.nodes:
        proto = copy.graph.node[node.index]
        if node.op == "Reshape":
            _plain_reshape(view, node, proto)
        elif node.op in _REWRITES and node.index not in inside:
            replaced[node.index] = _REWRITES[node.op](copy.graph, view, node, proto) or [proto]
    if replaced:
        nodes = [each for index, node in enumerate(copy.graph.node) for each in replaced.get(index, [node])]
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del copy.graph.node[:]
        copy.graph.node.extend(kept)
    return copy


def _plain_reshape(view: Graph, node: Node, proto: onnx.NodeProto) -> None:
    """`allowzero` says nothing where the constant shape has no 0; PyTorch's exporter always sets it."""
    shape = view.constant(node.inputs[1])
    if node.attributes.get("allowzero", 0) and shape is not None and 0 not in shape:
        kept = [each for each in proto.attribute if each.name != "allowzero"]
        del proto.attribute[:]
        proto.attribute.extend(kept)


def _gelu(graph: onnx.GraphProto, view: Graph, node: Node, proto: onnx.NodeProto) -> Nodes | None:
    """Gelu (exact, opset 20) as 0.5 x (1 + erf(x / sqrt 2)), the five nodes that TIDL runs as one layer."""
    if node.attributes.get("approximate", b"none") != b"none":
        return None
    source, target, name = proto.input[0], proto.output[0], node.name or node.output
    root, one, half = (
        _constant(graph, f"{target}/{key}", np.float32(value))
        for key, value in (("root", 2.0**0.5), ("one", 1.0), ("half", 0.5))
    )
    scaled, erf, shifted, product = (f"{target}/{step}" for step in ("scaled", "erf", "shifted", "product"))
    return [
        helper.make_node("Div", [source, root], [scaled], f"{name}/div"),
        helper.make_node("Erf", [scaled], [erf], f"{name}/erf"),
        helper.make_node("Add", [erf, one], [shifted], f"{name}/add"),
        helper.make_node("Mul", [source, shifted], [product], f"{name}/mul"),
        helper.make_node("Mul", [product, half], [target], f"{name}/half"),
    ]


def _mean(graph: onnx.GraphProto, view: Graph, node: Node, proto: onnx.NodeProto) -> Nodes | None:
    """A mean as GlobalAveragePool: the averaged axes become the plane, all others the channels."""
    before, after = view.shape(node.inputs[0]), view.shape(node.output)
    axes = _axes(view, node, before)
    if before is None or after is None or not axes:
        return None
    kept = [axis for axis in range(len(before)) if axis not in axes]
    order = kept + axes
    channels = elements(tuple(before[axis] for axis in kept))
    plane = (1, channels, elements(tuple(before[axis] for axis in axes)))
    target, name = proto.output[0], node.name or node.output
    moved = f"{target}/moved"
    if order == sorted(order):
        return _average(graph, proto.input[0], target, plane, after, name)
    first = helper.make_node("Transpose", [proto.input[0]], [moved], f"{name}/move", perm=order)
    return [first, *_average(graph, moved, target, plane, after, name)]


def _large_pool(graph: onnx.GraphProto, view: Graph, node: Node, proto: onnx.NodeProto) -> Nodes | None:
    """A global pool over a plane that TIDL's pooling layer does not hold."""
    before, after = view.shape(node.inputs[0]), view.shape(node.output)
    if before is None or after is None or elements(before[2:]) <= LARGEST_GLOBAL_PLANE:
        return None
    plane = (1, before[0] * before[1], elements(before[2:]))
    return _average(graph, proto.input[0], proto.output[0], plane, after, node.name or node.output)


def _average(
    graph: onnx.GraphProto, source: str, target: str, plane: tuple[int, int, int], after: Shape, name: str
) -> Nodes:
    """The mean of [1, channels, values] over its values: by pooling, or for many values by a product.

    The product is TI's own rule convert_large_global_avg_pooling_to_matmul.
    """
    flat, pooled, values = f"{target}/flat", f"{target}/pooled", plane[2]
    if values <= LARGEST_GLOBAL_PLANE:
        shape: Shape = (*plane, 1)
        average = helper.make_node("GlobalAveragePool", [flat], [pooled], f"{name}/pool")
    else:
        shape = plane
        share = _constant(graph, f"{target}/share", np.full((values, 1), 1 / values, np.float32))
        average = helper.make_node("MatMul", [flat, share], [pooled], f"{name}/product")
    return [
        _reshape(graph, source, flat, shape, f"{name}/flat"),
        average,
        _reshape(graph, pooled, target, after, f"{name}/shape"),
    ]


def _part(graph: onnx.GraphProto, view: Graph, node: Node, proto: onnx.NodeProto) -> Nodes | None:
    """A Slice or Split of fewer than 4 dimensions, in 4: TIDL reshapes for nothing, and takes parts of 4 alone."""
    before, after = view.shape(node.inputs[0]), [view.shape(name) for name in node.outputs]
    if before is None or len(before) >= _DIMENSIONS or any(shape is None for shape in after):
        return None
    if not (_moved_split if node.op == "Split" else _moved_slice)(graph, view, node, proto, len(before)):
        return None
    name, sources = node.name or node.output, list(proto.output)
    first = _reshape(graph, proto.input[0], f"{name}/wide", _widened(before), f"{name}/widen")
    proto.input[0] = f"{name}/wide"
    proto.output[:] = [f"{target}/wide" for target in sources]
    back = [
        _reshape(graph, f"{target}/wide", target, shape, f"{target}/narrow")
        for target, shape in zip(sources, after, strict=True)
        if shape is not None
    ]
    return [first, proto, *back]


def _moved_split(graph: onnx.GraphProto, view: Graph, node: Node, proto: onnx.NodeProto, rank: int) -> bool:
    axis = int(node.attributes.get("axis", 0)) % rank + _DIMENSIONS - rank
    kept = [each for each in proto.attribute if each.name != "axis"]
    del proto.attribute[:]
    proto.attribute.extend([*kept, helper.make_attribute("axis", axis)])
    return True


def _moved_slice(graph: onnx.GraphProto, view: Graph, node: Node, proto: onnx.NodeProto, rank: int) -> bool:
    starts = view.constant(node.inputs[1]) if len(node.inputs) > 2 else None  # before opset 10 they are attributes
    given = node.inputs[3] if len(node.inputs) > 3 else ""
    axes = view.constant(given) if given else (None if starts is None else np.arange(len(starts)))
    if axes is None:
        return False
    moved = axes.astype(np.int64) % rank + _DIMENSIONS - rank
    name = _constant(
        graph, f"{node.name or node.output}/axes", moved.astype(starts.dtype if starts is not None else int)
    )
    proto.input[3:4] = [name]
    return True


def _widened(shape: Shape) -> Shape:
    return (1,) * (_DIMENSIONS - len(shape)) + shape


def _axes(view: Graph, node: Node, shape: Shape | None) -> list[int]:
    """Which axes a mean is over; none where they are not constant."""
    given = node.attributes.get("axes")
    if given is None and len(node.inputs) > 1 and node.inputs[1]:
        constant = view.constant(node.inputs[1])
        given = [] if constant is None else constant.tolist()
    if shape is None or not given:
        return []
    return sorted(int(axis) % len(shape) for axis in given)


def _reshape(graph: onnx.GraphProto, source: str, target: str, shape: Shape, name: str) -> onnx.NodeProto:
    wanted = _constant(graph, f"{name}/to", np.array(shape, np.int64))
    return helper.make_node("Reshape", [source, wanted], [target], name)


def _constant(graph: onnx.GraphProto, name: str, value: np.ndarray | np.float32) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


_REWRITES: dict[str, Callable[[onnx.GraphProto, Graph, Node, onnx.NodeProto], Nodes | None]] = {
    "Gelu": _gelu,
    "ReduceMean": _mean,
    "GlobalAveragePool": _large_pool,
    "Slice": _part,
    "Split": _part,
}
