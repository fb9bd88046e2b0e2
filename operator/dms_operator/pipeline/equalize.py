"""Cross-layer equalization: move scale between the channels of neighbouring layers until both quantize well.

Through a ReLU, relu(s x) = s relu(x) for s > 0, so that one layer's output channel may shrink by the factor by which
the next layer's input channel grows. The function stays; the ranges of channels that share a step become alike
(Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", equation 11).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from .linear_layers import Array, LinearLayer, Weights, linear_layers, uses

_HOMOGENEOUS = {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity"}
"""Operators f with f(s x) = s f(x) for every channel and s > 0."""
_ROUNDS = 20
"""Chains of layers (depthwise nets) need several rounds; each changes less."""
_CONVERGED = 1e-3


@dataclass(frozen=True)
class Pair:
    """Two layers with nothing but homogeneous operators between them, and no other reader."""

    first: LinearLayer
    second: LinearLayer


def equalize(model: onnx.ModelProto) -> list[Pair]:
    """Equalize in place; gives the pairs that were equalized."""
    pairs, weights = list(find_pairs(model)), Weights(model)
    for _ in range(_ROUNDS):
        steps = [_equalize_pair(pair, weights) for pair in pairs]
        if max(steps, default=0.0) < _CONVERGED:
            break
    return pairs


def find_pairs(model: onnx.ModelProto) -> Iterator[Pair]:
    """The pairs of a graph, in its order; layers that share a weight or a bias with others are left out."""
    read = uses(model)
    layers = [each for each in linear_layers(model) if read[each.weight] == 1 and _own_bias(each, read, model)]
    by_input = {layer.input: layer for layer in layers}
    readers = {name: node for node in model.graph.node for name in node.input}
    for layer in layers:
        tensor: str | None = layer.output
        while tensor is not None and read[tensor] == 1 and tensor not in by_input:
            node = readers.get(tensor)
            tensor = node.output[0] if node is not None and node.op_type in _HOMOGENEOUS else None
        if tensor is None or read[tensor] != 1 or tensor not in by_input:
            continue
        if _channels_match(layer, by_input[tensor]):
            yield Pair(layer, by_input[tensor])


def rescale(pair: Pair, weights: Weights, factors: Array) -> None:
    """Divide the first layer's output channels by the factors, and multiply the second's input channels by them."""
    first, second = pair.first, pair.second
    weights[first.weight] = first.scaled(weights[first.weight], outputs=1 / factors)
    if first.bias is not None:
        weights[first.bias] = weights[first.bias] / factors
    weights[second.weight] = second.scaled(weights[second.weight], inputs=factors)


def _equalize_pair(pair: Pair, weights: Weights) -> float:
    """Equalize one pair; gives the largest change (log of a factor)."""
    outputs = pair.first.matrix(weights[pair.first.weight])
    first = np.abs(outputs).max(axis=2).ravel().astype(np.float64)
    second = np.abs(pair.second.by_input_channel(weights[pair.second.weight])).max(axis=1).astype(np.float64)
    # a channel that is zero on either side has no range to balance
    usable = (first > 0) & (second > 0)
    factors = np.sqrt(np.divide(first, second, out=np.ones_like(first), where=usable))
    rescale(pair, weights, factors.astype(np.float32))
    return float(np.abs(np.log(factors)).max())


def _own_bias(layer: LinearLayer, read: dict[str, int], model: onnx.ModelProto) -> bool:
    return layer.bias is None or (layer.bias in Weights(model) and read[layer.bias] == 1)


def _channels_match(first: LinearLayer, second: LinearLayer) -> bool:
    """Channels stand on axis 1 for convolutions and on the last for matrix products: both must mean the same axis."""
    convolutions = {first.node.op_type, second.node.op_type} & {"Conv"}
    return not convolutions or first.node.op_type == second.node.op_type
