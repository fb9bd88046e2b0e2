"""How far two machines that compute the same net rightly may be apart, by rounding alone."""

from collections.abc import Mapping, Sequence
from math import prod, sqrt

import numpy as np
import onnx
from onnx import numpy_helper

from ..api.capabilities import ToolchainName
from ..toolchains.base import Arrays
from .golden import Tolerance

_HALF, _SINGLE = 2.0**-11, 2.0**-24
"""Unit roundoff of IEEE 754 binary16 and binary32."""
_LAMBDA = 7.0
"""Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis (SIAM J. Sci. Comput. 41, 2019): the error
of a dot product of n terms stays below lambda sqrt(n) u but for a probability of 2 exp(-lambda^2 / 2). 7: of the
million dot products of a net one goes beyond with a probability below 1e-4."""
_QDQ = {"QuantizeLinear", "DequantizeLinear"}
_MOVES = {"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""Operators that change no value."""


def rounding_floor(
    model: onnx.ModelProto, toolchain: ToolchainName, outputs: Sequence[Arrays]
) -> Mapping[str, Tolerance]:
    """The least that must be allowed for each output: one quantization step, or rounding summed over the net's layers.

    The latter supposes that no layer makes the relative error of the one before it larger, and that sums of half
    precision values are kept in single precision.
    """
    steps = _steps(model)
    relative = _relative(model, toolchain)
    return {name: steps.get(name) or _rounded(outputs, name, relative) for name in outputs[0]}


def _rounded(outputs: Sequence[Arrays], name: str, relative: float) -> Tolerance:
    values = np.stack([np.asarray(each[name]) for each in outputs])
    if not np.issubdtype(values.dtype, np.floating):
        return Tolerance(0.0, "the output holds whole numbers")
    finite = np.abs(values[np.isfinite(values)].astype(np.float64))
    limit = relative * float(finite.max(initial=0.0))
    return Tolerance(limit, f"rounding of floating-point sums, {relative:.1e} of the largest golden value")


def _relative(model: onnx.ModelProto, toolchain: ToolchainName) -> float:
    """Rounding of every layer's sums, and of its values where they are halves, as NPUs' floats are: as a share."""
    weights = {each.name: each for each in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type not in _MOVES | _QDQ]
    halves = toolchain != "onnxruntime" or any(each.data_type == onnx.TensorProto.FLOAT16 for each in weights.values())
    sums = _LAMBDA * _SINGLE * sum(sqrt(_terms(node, weights)) for node in layers)
    return sums + (_HALF * len(layers) if halves else 0.0)


def _terms(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> int:
    """Terms of the sums that a node makes; the longer side where a weight does not tell which one it sums over."""
    shapes = [weights[name].dims for name in node.input if name in weights and len(weights[name].dims) > 1]
    if not shapes:
        return 1
    if node.op_type == "Conv":
        return max(1, prod(shapes[0][1:]))
    return max(1, *(max(shape) for shape in shapes))


def _steps(model: onnx.ModelProto) -> dict[str, Tolerance]:
    """Outputs that are dequantized: kernels round halves differently, which moves a value by one step."""
    producers = {name: node for node in model.graph.node for name in node.output}
    scales = {each.name: each for each in model.graph.initializer}
    found = {}
    for output in model.graph.output:
        node = producers.get(output.name)
        while node is not None and node.op_type in _MOVES:
            node = producers.get(node.input[0])
        if node is not None and node.op_type == "DequantizeLinear" and node.input[1] in scales:
            step = float(np.max(numpy_helper.to_array(scales[node.input[1]])))
            found[output.name] = Tolerance(step, "one quantization step of the output")
    return found
