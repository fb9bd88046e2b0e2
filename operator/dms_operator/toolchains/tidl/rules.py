"""TI's constraints on single nodes (TDA4VM), each as a function that gives the reason of a refusal, or None.

Source of every rule: TI edgeai-tidl-tools docs/operators.md (commit 238cb8b).
"""

from collections.abc import Callable
from math import log2

from .graph import Graph, Node, Shape, elements
from .operators import SUPPORTED

Rule = Callable[[Graph, Node], str | None]

_DEPTHWISE = {(1, 3, 1), (3, 3, 1), (3, 3, 2), (5, 5, 1), (5, 5, 2), (7, 7, 1), (7, 7, 2)}
"""Height, width and stride of the depthwise convolutions that there are."""
_POOLING = {(3, 1), (3, 2), (2, 2), (1, 1), (1, 2)}
"""Kernel and stride of the validated poolings."""
LARGEST_GLOBAL_PLANE = 1024


def refusal(graph: Graph, node: Node) -> str | None:
    """Why a supported operator is refused as it stands here, or None."""
    rules = (_rank, *RULES.get(node.op, ()))
    return next((reason for rule in rules if (reason := rule(graph, node))), None)


def _rank(graph: Graph, node: Node) -> str | None:
    limit = SUPPORTED[node.op].rank
    for name in graph.variables(node):
        shape = graph.shape(name)
        if shape is None:
            return f"the shape of {name} is not known"
        if sum(size > 1 for size in shape) > limit:
            return f"more than {limit} dimensions above 1: {list(shape)}"
    return None


def _one_variable(graph: Graph, node: Node) -> str | None:
    return "more than one variable input" if len(graph.variables(node)) > 1 else None


def _convolution(graph: Graph, node: Node) -> str | None:
    weight = graph.shape(node.inputs[1])
    if weight is None or len(weight) != 4:
        return f"only 2-dimensional convolutions, the weight is {list(weight or ())}"
    kernel, strides = weight[2:], tuple(node.attributes.get("strides", (1, 1)))
    group = node.attributes.get("group", 1)
    if strides[0] != strides[1]:
        return f"strides {list(strides)} differ"
    if strides[0] == 2 and max(kernel) > 7:
        return f"kernel {list(kernel)} with stride 2"
    if strides[0] == 4 and kernel != (11, 11):
        return f"kernel {list(kernel)} with stride 4"
    if group > 1 and group == weight[0] and weight[1] == 1 and (*kernel, strides[0]) not in _DEPTHWISE:
        return f"depthwise kernel {list(kernel)} with stride {strides[0]}"
    return None


def _deconvolution(graph: Graph, node: Node) -> str | None:
    weight = graph.shape(node.inputs[1]) or ()
    strides = tuple(node.attributes.get("strides", (1, 1)))
    if weight[2:] not in ((4, 4), (3, 3), (2, 2)) or strides != (2, 2):
        return f"kernel {list(weight[2:])} with strides {list(strides)}; only 4x4, 3x3, 2x2 with stride 2"
    return None


def _pooling(graph: Graph, node: Node) -> str | None:
    kernel = tuple(node.attributes.get("kernel_shape", ()))
    strides = tuple(node.attributes.get("strides", (1,) * len(kernel)))
    if any(size != 1 for size in node.attributes.get("dilations", ())):
        return "dilated pooling"
    shape = graph.shape(node.inputs[0])
    if shape and kernel == shape[2:]:
        return _global_pooling(graph, node)  # a pool over the whole plane is a global one
    if len(kernel) != 2 or any(pair not in _POOLING for pair in zip(kernel, strides, strict=True)):
        return f"kernel {list(kernel)} with strides {list(strides)}"
    return None


def _global_pooling(graph: Graph, node: Node) -> str | None:
    shape = graph.shape(node.inputs[0])
    if shape and elements(shape[2:]) > LARGEST_GLOBAL_PLANE:
        return f"a plane of {elements(shape[2:])} values, at most {LARGEST_GLOBAL_PLANE}"
    return None


def _element_wise(graph: Graph, node: Node) -> str | None:
    if len(node.inputs) != 2:
        return f"{len(node.inputs)} inputs, only 2 are taken"
    shapes = [graph.shape(name) for name in node.inputs]
    vectors = [shape for shape in shapes if shape and len(shape) == 1 and shape[0] > 1]
    whole = max((shape for shape in shapes if shape), key=len, default=())
    for vector in vectors:
        if vector != whole and len(whole) > 1 and vector[0] not in (whole[-1], *whole[-3:-2]):
            return f"a vector of {vector[0]} beside {list(whole)} fits neither channels nor width"
    return None


def _gemm(graph: Graph, node: Node) -> str | None:
    attributes = node.attributes
    if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
        return "transA, alpha or beta differ from their defaults"
    output = graph.shape(node.output)
    bias = graph.shape(node.inputs[2]) if len(node.inputs) > 2 else None
    if bias is not None and output is not None and elements(bias) != output[-1]:
        return f"the bias has {elements(bias)} values, the output {output[-1]}"
    return _one_variable(graph, node)


def _softmax(graph: Graph, node: Node) -> str | None:
    shape = graph.shape(node.inputs[0])
    axis = _axis(node.attributes.get("axis", -1), shape)
    return None if axis in (-1, -2) else f"axis {axis}; only width (-1) and height (-2)"


def _layer_norm(graph: Graph, node: Node) -> str | None:
    axis = _axis(node.attributes.get("axis", -1), graph.shape(node.inputs[0]))
    return None if axis == -1 else f"axis {axis}; only width (-1)"


def _reduce(graph: Graph, node: Node) -> str | None:
    if not node.attributes.get("keepdims", 1):
        return "keepdims is 0"
    axes = _axes(graph, node)
    return None if axes == [-2] else f"axes {axes}; only height (-2)"


def _arg(graph: Graph, node: Node) -> str | None:
    if not node.attributes.get("keepdims", 1) or node.attributes.get("select_last_index", 0):
        return "keepdims 0 or select_last_index 1"
    axis = _axis(node.attributes.get("axis", 0), graph.shape(node.inputs[0]))
    return None if axis == -3 else f"axis {axis}; only channels (-3)"


def _concat(graph: Graph, node: Node) -> str | None:
    axis = _axis(node.attributes.get("axis", 0), graph.shape(node.inputs[0]))
    return None if axis in (-1, -2, -3) else f"axis {axis}; only width, height and channels"


def _slice(graph: Graph, node: Node) -> str | None:
    shape = graph.shape(node.inputs[0])
    if shape and (len(shape) != 4 or shape[0] != 1):
        return f"a tensor {list(shape)}; only 4 dimensions with batch 1"
    steps = graph.constant(node.inputs[4]) if node.op == "Slice" and len(node.inputs) > 4 else None
    return "steps other than 1" if steps is not None and any(step != 1 for step in steps) else None


def _constant_shape(graph: Graph, node: Node) -> str | None:
    if len(node.inputs) > 1 and not graph.is_constant(node.inputs[1]):
        return "its shape is computed at run time"
    return "allowzero is 1" if node.attributes.get("allowzero", 0) else None


def _gather(graph: Graph, node: Node) -> str | None:
    if graph.is_constant(node.inputs[0]):
        return "its data is a constant; only indices may be"
    indices = graph.shape(node.inputs[1])
    if indices is not None and len(indices) > 1:
        return f"indices of {len(indices)} dimensions, only 1"
    return None


def _resize(graph: Graph, node: Node) -> str | None:
    mode = _text(node.attributes.get("mode", b"nearest"))
    before, after = graph.shape(node.inputs[0]), graph.shape(node.output)
    if mode not in ("nearest", "linear"):
        return f"mode {mode}"
    if not before or not after or before[:2] != after[:2]:
        return "only height and width may be resized"
    scales = [new / old for new, old in zip(after[2:], before[2:], strict=True)]
    if len(set(scales)) != 1 or scales[0] < 1 or not log2(scales[0]).is_integer():
        return f"scales {scales}; only the same power of two for height and width"
    place = _text(node.attributes.get("coordinate_transformation_mode", b"half_pixel"))
    if place not in ("half_pixel", "pytorch_half_pixel", "asymmetric") or (mode, place) == ("linear", "asymmetric"):
        return f"coordinates {place} with mode {mode}"
    return None


def _pad(graph: Graph, node: Node) -> str | None:
    if _text(node.attributes.get("mode", b"constant")) != "constant":
        return "only constant padding"
    pads = graph.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if pads is None:
        return "its pads are computed at run time"
    half = len(pads) // 2
    edges = [*pads[: max(half - 2, 0)], *pads[half : half + max(half - 2, 0)]]
    return "padding of batch or channels" if any(edges) else None


def _clip(graph: Graph, node: Node) -> str | None:
    low, high = (graph.scalar(name) if name else None for name in (*node.inputs[1:3], "", "")[:2])
    if (low is not None and low > 0) or (high is not None and high <= 0):
        return f"bounds {low} and {high}; only min <= 0 < max"
    return None


def _power(graph: Graph, node: Node) -> str | None:
    return None if graph.scalar(node.inputs[1]) is not None else "its exponent is not one constant"


def _top_k(graph: Graph, node: Node) -> str | None:
    if not node.attributes.get("sorted", 1) or not graph.is_constant(node.inputs[1]):
        return "sorted is 0, or K is computed at run time"
    axis = _axis(node.attributes.get("axis", -1), graph.shape(node.inputs[0]))
    return None if axis in (-1, -2) else f"axis {axis}; only width and height"


def _transpose(graph: Graph, node: Node) -> str | None:
    shape = graph.shape(node.inputs[0]) or ()
    order = list(node.attributes.get("perm", range(len(shape))[::-1]))
    if len(shape) > 4 and len(shape) - 1 in order[:2]:
        return f"it moves the width of {len(shape)} dimensions to the front"
    return None


def _axis(axis: int, shape: Shape | None) -> int:
    """Counted from the end; without a shape as written."""
    return axis - len(shape) if shape and axis >= 0 else axis


def _axes(graph: Graph, node: Node) -> list[int]:
    given = node.attributes.get("axes")
    if given is None and len(node.inputs) > 1:
        constant = graph.constant(node.inputs[1])
        given = [] if constant is None else constant.tolist()
    shape = graph.shape(node.inputs[0])
    return sorted(_axis(int(axis), shape) for axis in given or ())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


RULES: dict[str, tuple[Rule, ...]] = {
    "Conv": (_one_variable, _convolution),
    "ConvTranspose": (_one_variable, _deconvolution),
    "DeformConv": (),
    "AveragePool": (_pooling,),
    "MaxPool": (_pooling,),
    "GlobalAveragePool": (_global_pooling,),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum"), (_element_wise,)),
    "Gemm": (_gemm,),
    "Softmax": (_softmax,),
    "LayerNormalization": (_layer_norm,),
    "ReduceMin": (_reduce,),
    "ReduceMax": (_reduce,),
    "ArgMin": (_arg,),
    "ArgMax": (_arg,),
    "Concat": (_concat,),
    "Slice": (_slice,),
    "Split": (_slice,),
    "Reshape": (_constant_shape,),
    "Expand": (_constant_shape,),
    "Gather": (_gather,),
    "Resize": (_resize,),
    "Upsample": (_resize,),
    "Pad": (_pad,),
    "Clip": (_clip,),
    "Pow": (_power,),
    "TopK": (_top_k,),
    "Transpose": (_transpose,),
}
