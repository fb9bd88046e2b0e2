"""Bias correction: give back the mean that rounding takes from each layer's output.

The output of a linear layer changes by the rounding error of its weight times its input; the mean of that over
calibration samples is added to the bias (Nagel et al. 2019, section 4.2, measured instead of derived).
"""

from collections.abc import Iterable

import numpy as np
import onnx

from .calibration import Feed
from .layer_inputs import layer_rows
from .linear_layers import Array, Weights, linear_layers, uses
from .progress import Progress


def correct_bias(
    model: onnx.ModelProto, rounded: dict[str, Array], feeds: Iterable[Feed], samples: int, progress: Progress
) -> int:
    """Correct in place the biases of a float model whose weights will become `rounded`; gives how many.

    Layers without a bias of their own stay as they are.
    """
    read, weights = uses(model), Weights(model)
    layers = [
        (layer, layer.bias)
        for layer in linear_layers(model)
        if layer.weight in rounded and layer.bias is not None and layer.bias in weights and read[layer.bias] == 1
    ]
    means: list[Array] = [np.zeros(()) for _ in layers]
    count = 0
    for count, rows in enumerate(layer_rows(model, [layer for layer, _ in layers], feeds), start=1):
        means = [mean + each.mean(axis=1, dtype=np.float64) for mean, each in zip(means, rows, strict=True)]
        progress("correct", count, samples)
    for (layer, bias), mean in zip(layers, means, strict=True):
        error = layer.matrix(rounded[layer.weight].astype(np.float64) - weights[layer.weight])
        shift = np.einsum("goc,gc->go", error, mean / max(1, count)).ravel()
        weights[bias] = weights[bias] - shift.reshape(weights.shape(bias))
    return len(layers)
