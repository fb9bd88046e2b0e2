"""Weights rounded for what the layers compute, learned from calibration samples layer by layer; no training.

Rounding to nearest minimises the error of each weight; here the error of each layer's output is minimised.
Column after column is rounded, and the columns still to come take up the error made so far, by the second moments of
the layer's inputs (Frantar et al. 2023, "GPTQ", after Hassibi and Stork 1993). Inputs are those that the layer gets
behind the already rounded layers, and outputs are held against the float model's, so that errors do not pile up.
The work is bounded by the samples and positions looked at, never by the clock: the same input gives the same bytes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnx

from ..api.errors import QuantizationFailed
from .calibration import Feed
from .layer_inputs import layer_rows
from .linear_layers import Array, LinearLayer, Weights, linear_layers, uses
from .progress import Progress

SAMPLES = 64
"""Most calibration samples that are looked at."""
_DAMPING = 0.01
"""Share of the mean second moment that is added to each, as in GPTQ: keeps weights where the samples say nothing."""
_BLOCK = 128
"""Columns rounded before the others are updated."""
_SHARES = (1.0, 0.85, 0.7)
"""Shares of the largest weight that a channel's range may take: clipping a few large weights can pay."""


@dataclass(frozen=True)
class Grid:
    """The values that a weight may take: `scale` [channels on `axis`], or [] without an axis, times an integer."""

    scale: Array
    axis: int | None
    bits: int


Chooser = Callable[[LinearLayer], tuple[int, bool] | None]
"""Bits of a layer's weight and whether each channel has a scale; None leaves the layer as it is."""


def learn_rounding(
    model: onnx.ModelProto, feeds: Iterable[Feed], chooser: Chooser, progress: Progress, narrow: bool = False
) -> dict[str, Grid]:
    """Round weights in place; gives the grid of each. Weights that several layers share are left as they are.

    `narrow` leaves out the lowest code, such as -8 of 4 bits.

    Raises QuantizationFailed when a layer's inputs are NaN or infinite.
    """
    samples = [feed for feed, _ in zip(feeds, range(SAMPLES), strict=False)]
    original = onnx.ModelProto()
    original.CopyFrom(model)
    layers = list(linear_layers(model))
    names = [layer.weight for layer in layers]
    chosen = [(layer, choice) for layer in layers if names.count(layer.weight) == 1 and (choice := chooser(layer))]
    grids, read = {}, uses(model)
    for done, (layer, (bits, per_channel)) in enumerate(chosen, start=1):
        moments = _moments(layer, original, model, samples)
        weights = Weights(model)
        before = weights[layer.weight]
        grids[layer.weight] = _round_layer(layer, weights, moments, bits, per_channel, narrow)
        if layer.bias is not None and layer.bias in weights and read[layer.bias] == 1:
            _keep_mean(layer, weights, before, moments)
        progress("round", done, len(chosen))
    return grids


@dataclass(frozen=True)
class Moments:
    """Of a layer's inputs: in the float model (wanted), and behind the layers that are rounded already (present)."""

    present: Array
    """Second moments [groups, C, C] of the present inputs."""
    cross: Array
    """The same between wanted and present inputs."""
    wanted_mean: Array
    """[groups, C]"""
    present_mean: Array
    """[groups, C]"""


def _moments(layer: LinearLayer, original: onnx.ModelProto, model: onnx.ModelProto, samples: list[Feed]) -> Moments:
    of_both = zip(layer_rows(original, [layer], samples), layer_rows(model, [layer], samples), strict=True)
    sums: list[Array] = [np.zeros(())] * 4
    for [wanted], [present] in of_both:
        of_sample = (
            present.transpose(0, 2, 1) @ present,
            wanted.transpose(0, 2, 1) @ present,
            wanted.mean(axis=1, dtype=np.float64) / len(samples),
            present.mean(axis=1, dtype=np.float64) / len(samples),
        )
        sums = [total + new for total, new in zip(sums, of_sample, strict=True)]
    if not all(np.isfinite(total).all() for total in sums):
        raise QuantizationFailed(
            f"the input of {layer.node.name} becomes NaN or infinite in calibration", hint="Check the model"
        )
    return Moments(*(total.astype(np.float64) for total in sums))


def _keep_mean(layer: LinearLayer, weights: Weights, before: Array, moments: Moments) -> None:
    """Let the bias take up what is left of the change in the layer's mean output."""
    assert layer.bias is not None
    wanted = np.einsum("goc,gc->go", layer.matrix(before), moments.wanted_mean)
    present = np.einsum("goc,gc->go", layer.matrix(weights[layer.weight]), moments.present_mean)
    weights[layer.bias] = weights[layer.bias] + (wanted - present).reshape(weights.shape(layer.bias))


def _round_layer(
    layer: LinearLayer, weights: Weights, moments: Moments, bits: int, per_channel: bool, narrow: bool
) -> Grid:
    original = weights[layer.weight]
    matrix = layer.matrix(original).astype(np.float64)
    rounded, scales = np.empty_like(matrix), np.empty(matrix.shape[:2])
    common = None if per_channel else float(np.abs(matrix).max())
    for group in range(layer.groups):
        rounded[group], scales[group] = round_rows(
            matrix[group], moments.present[group], moments.cross[group], bits, common, narrow
        )
    weights[layer.weight] = layer.weight_of(rounded, original.shape)
    scale = scales.ravel() if per_channel else scales.ravel()[0]
    return Grid(np.asarray(scale, np.float32), layer.output_axis if per_channel else None, bits)


def round_rows(
    matrix: Array, moments: Array, cross: Array, bits: int, common: float | None = None, narrow: bool = False
) -> tuple[Array, Array]:
    """Rows on their grids, and each row's scale, such that the rows times the inputs come near the float outputs.

    `matrix` [R, C], `moments` X̂ᵀX̂ and `cross` XᵀX̂ [C, C]. `common` is the range that all rows share, if they do.
    """
    damped = moments + np.eye(len(moments)) * max(_DAMPING * float(np.trace(moments)) / len(moments), 1e-12)
    # the best float weight for the present inputs; where these equal the float model's, it is the weight itself
    wanted = np.linalg.solve(damped, (cross + damped - moments).T @ matrix.T).T
    order = np.argsort(-np.diag(damped), kind="stable")
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    factor = np.linalg.cholesky((inverse + inverse.T) / 2).T
    top = np.abs(wanted).max(axis=1) if common is None else np.full(len(matrix), common)
    top = np.where(top > 0, top, 1.0) / (2 ** (bits - 1) - 1)
    codes = (-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1)
    best, scales, least = matrix, top, np.full(len(matrix), np.inf)
    for share in _SHARES if common is None else (1.0,):
        # scales are stored as float32: the values must lie on the grid of those
        tried = (top * share).astype(np.float32).astype(np.float64)
        candidate = np.empty_like(matrix)
        candidate[:, order] = _feed_back(wanted[:, order], tried, factor, codes)
        error = np.einsum("rc,rc->r", (candidate - wanted) @ damped, candidate - wanted)
        better = error < least
        best, scales = np.where(better[:, None], candidate, best), np.where(better, tried, scales)
        least = np.where(better, error, least)
    return best, scales


def _feed_back(rows: Array, scales: Array, factor: Array, codes: tuple[int, int]) -> Array:
    """Round column by column to `codes` from the lowest to the highest.

    `factor` is the upper Cholesky factor of the inverse second moments.
    """
    rows, rounded = rows.copy(), np.empty_like(rows)
    for start in range(0, rows.shape[1], _BLOCK):
        end = min(start + _BLOCK, rows.shape[1])
        errors = np.empty((len(rows), end - start))
        for column in range(start, end):
            rounded[:, column] = np.clip(np.round(rows[:, column] / scales), *codes) * scales
            error = (rows[:, column] - rounded[:, column]) / factor[column, column]
            rows[:, column:end] -= error[:, None] * factor[column, column:end]
            errors[:, column - start] = error
        rows[:, end:] -= errors @ factor[start:end, end:]
    return rounded
