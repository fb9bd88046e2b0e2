"""The distribution of an activation, and the range that loses least of it when it is quantized."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Range = tuple[float, float]

BINS = 2048
"""As TensorRT and ONNX Runtime use for entropy calibration."""
PERCENTILE = 99.99
"""Share of values kept; the default of Qualcomm's qairt-quantizer."""
VALUES_PER_SAMPLE = 2**14
"""Most values of one tensor and sample that are counted. 200 000 samples then still fit a 32-bit counter."""
_SHRINKS = np.linspace(1.0, 0.2, 41)
"""Shares of the full range that mse tries, in steps of 2 %; entropy, whose count costs more, takes every second."""
_INFINITY = 0x7F80
"""The upper half of float32's infinity: as an integer, one more than that of the largest finite number."""
_SIGN = 0x8000


class Counter:
    """Counts values by the upper 16 bits of their float32 (sign, exponent, 7 bits of mantissa).

    These buckets are the same for every tensor, so one pass is enough: no range has to be known beforehand.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2**16, np.uint32)
        self._number = 0
        self.low, self.high = np.inf, -np.inf

    def add(self, values: NDArray[np.float32], *, count: bool = True) -> None:
        """Take one sample's values: their extremes exactly, and if asked, evenly spaced ones into the buckets."""
        flat = np.ascontiguousarray(values, np.float32).ravel()
        # not min and max: a NaN must stay visible
        self.low, self.high = float(np.minimum(self.low, flat.min())), float(np.maximum(self.high, flat.max()))
        if count:
            # an odd step does not stay in the same columns of an image
            step = -(-flat.size // VALUES_PER_SAMPLE) | 1
            chosen = flat[self._number % step :: step].view(np.uint32) >> 16
            found = np.bincount(chosen)
            self._counts[: found.size] += found.astype(np.uint32)
            self._number += 1

    def histogram(self) -> "Histogram":
        """The counts in equal bins between the extremes; a bucket wider than a bin is spread over those it covers."""
        negative, positive = self._counts[_SIGN : _SIGN + _INFINITY], self._counts[:_INFINITY]
        counts = np.concatenate([negative[::-1], positive])
        [occupied] = np.nonzero(counts)
        first, last = int(occupied[0]), int(occupied[-1]) + 1
        edges = np.clip(_EDGES[first : last + 1], self.low, self.high)
        cumulated = np.concatenate([[0.0], np.cumsum(counts[first:last], dtype=np.float64)])
        bins = np.linspace(self.low, self.high, BINS + 1)
        if self.high <= self.low:
            return Histogram(self.low, self.high, np.zeros(BINS))
        return Histogram(self.low, self.high, np.diff(np.interp(bins, edges, cumulated, left=0.0)))


def _edges() -> Array:
    magnitudes = (np.arange(_INFINITY + 1, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
    magnitudes[-1] = 2.0**128
    return np.concatenate([-magnitudes[:0:-1], magnitudes])


_EDGES = _edges()
"""Edges of the buckets in rising order, from the most negative to the most positive."""


@dataclass(frozen=True)
class Histogram:
    """Counts (parts of values allowed) in equal bins between `low` and `high`."""

    low: float
    high: float
    counts: Array

    @property
    def edges(self) -> Array:
        """The bins' edges."""
        return np.linspace(self.low, self.high, BINS + 1)

    @property
    def centres(self) -> Array:
        """The middle of each bin."""
        return np.asarray((self.edges[:-1] + self.edges[1:]) / 2)


def percentile_range(histogram: Histogram, levels: int = 256) -> Range:
    """The range without the outermost values, half of them cut at each end."""
    total = histogram.counts.sum()
    if total <= 0:
        return histogram.low, histogram.high
    tail = (1 - PERCENTILE / 100) / 2
    share, edges = np.cumsum(histogram.counts) / total, histogram.edges
    first, last = int(np.searchsorted(share, tail, "right")), int(np.searchsorted(share, 1 - tail, "left"))
    return float(edges[min(first, BINS - 1)]), float(edges[min(last, BINS - 1) + 1])


def mse_range(histogram: Histogram, levels: int) -> Range:
    """The range with the least squared error: rounding inside (step^2 / 12), clipping outside."""
    if histogram.high <= histogram.low:
        return histogram.low, histogram.high
    centres, counts = histogram.centres, histogram.counts
    lows, highs = min(histogram.low, 0.0) * _SHRINKS, max(histogram.high, 0.0) * _SHRINKS
    above = (np.maximum(centres - highs[:, None], 0) ** 2) @ counts
    below = (np.maximum(lows[:, None] - centres, 0) ** 2) @ counts
    rounding = ((highs - lows[:, None]) / (levels - 1)) ** 2 / 12 * counts.sum()
    low, high = np.unravel_index(int(np.argmin(below[:, None] + above + rounding)), rounding.shape)
    return float(lows[low]), float(highs[high])


def entropy_range(histogram: Histogram, levels: int) -> Range:
    """The range whose quantized distribution diverges least (Kullback-Leibler) from the clipped one; after TensorRT."""
    if histogram.high <= histogram.low or levels >= BINS:
        # with a level for each bin nothing is gained by clipping
        return histogram.low, histogram.high
    # a range contains 0 (padding and ReLU need it), so each end shrinks towards it: the upper first, then the lower
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    centres, counts = histogram.centres, _without_peak_at_zero(histogram)
    shares = _SHRINKS[::2].tolist()
    high = min((high * share for share in shares), key=lambda end: _loss(centres, counts, low, end, levels))
    if low < 0:
        low = min((low * share for share in shares), key=lambda end: _loss(centres, counts, end, high, levels))
    return low, high


CHOICES: dict[str, Callable[[Histogram, int], Range]] = {
    "percentile": percentile_range,
    "mse": mse_range,
    "entropy": entropy_range,
}


def _without_peak_at_zero(histogram: Histogram) -> Array:
    """The counts with the bin of zero as low as its neighbours, as in TensorRT.

    Every grid has an exact zero, so that nothing happens to half of a ReLU's values. Counted, they would clip the
    others until zero's level has a bin of its own.
    """
    counts = histogram.counts.copy()
    zero = min(max(int(np.searchsorted(histogram.edges, 0.0, "right")) - 1, 0), BINS - 1)
    neighbours = np.delete(counts[max(zero - 1, 0) : zero + 2], min(zero, 1))
    counts[zero] = min(counts[zero], neighbours.max())
    return counts


def _loss(centres: Array, counts: Array, low: float, high: float, levels: int) -> float:
    """Divergence of the distribution clipped to a range from the same after quantization."""
    first, last = np.searchsorted(centres, [low, high])
    inside = counts[first:last]
    if not inside.any():
        return np.inf
    clipped = inside.copy()
    clipped[0] += counts[:first].sum()
    clipped[-1] += counts[last:].sum()
    level = np.round((centres[first:last] - low) * ((levels - 1) / (high - low))).astype(np.int64)
    # each level's share is spread evenly over the occupied bins that round to it
    totals, occupied = np.bincount(level, inside, levels), np.bincount(level, inside > 0, levels)
    spread = np.where(inside > 0, (totals / np.maximum(occupied, 1))[level], 0.0)
    return _divergence(clipped, spread)


def _divergence(p: Array, q: Array) -> float:
    # bins that clipping filled, but quantization left empty, get a small share instead of an infinite divergence
    p, q = p / p.sum(), np.maximum(q / max(q.sum(), 1e-30), 1e-9)
    filled = p > 0
    return float((p[filled] * np.log(p[filled] / q[filled])).sum())
