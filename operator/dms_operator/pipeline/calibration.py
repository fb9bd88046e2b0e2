"""Value ranges of every activation, streamed: one sample's activations are held at a time, whatever their number.

ONNX Runtime's own histogram calibrators keep all activations of all samples (2.2 GB for 64 small images), so only
its way of taking ready ranges is used.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..api.errors import QuantizationFailed
from ..api.stages import Calibration
from .progress import Progress
from .session import cpu_session, run_once

Feed = dict[str, NDArray[Any]]
Range = tuple[float, float]

_BINS = 2048
"""As TensorRT and ONNX Runtime use for entropy calibration."""
PERCENTILE = 99.99
"""Share of values kept; the default of Qualcomm's qairt-quantizer."""
_SHRINKS = np.linspace(1.0, 0.2, 81)
"""Shares of the full range that mse and entropy try, in steps of 1 %."""


@dataclass
class Histogram:
    """Counts of values in equal bins between `low` and `high`."""

    low: float
    high: float
    counts: NDArray[np.int64]

    def add(self, values: NDArray[Any]) -> None:
        """Count more values; those beyond the edges fall into the edge bins."""
        width = (self.high - self.low) / _BINS
        bins = ((values.ravel() - self.low) / width).astype(np.int64) if width > 0 else np.zeros(values.size, np.int64)
        self.counts += np.bincount(np.clip(bins, 0, _BINS - 1), minlength=_BINS)

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        edges = np.linspace(self.low, self.high, _BINS + 1)
        centres: NDArray[np.float64] = (edges[:-1] + edges[1:]) / 2
        return centres


def calibrate(
    model: Path, feeds: Callable[[], Iterable[Feed]], samples: int, method: Calibration, bits: int, progress: Progress
) -> dict[str, Range]:
    """The range of every float activation and input of a model over the samples that `feeds()` gives.

    `bits` is the activation width that mse and entropy fit to. Raises QuantizationFailed on NaN activations.
    """
    watched = _Watched(model)
    rounds = 1 if method == "minmax" else 2
    ranges: dict[str, Range] = {}
    for done, feed in enumerate(feeds(), start=1):
        for name, values in watched.run(feed).items():
            ranges[name] = _widened(ranges.get(name), name, values)
        progress("calibrate", done, samples * rounds)
    if method == "minmax":
        return ranges
    histograms = {name: Histogram(*bounds, np.zeros(_BINS, np.int64)) for name, bounds in ranges.items()}
    for done, feed in enumerate(feeds(), start=samples + 1):
        for name, values in watched.run(feed).items():
            histograms[name].add(values)
        progress("calibrate", done, samples * rounds)
    return {name: _CHOICES[method](histogram, 2**bits) for name, histogram in histograms.items()}


def percentile_range(histogram: Histogram, levels: int = 256) -> Range:
    """The range without the outermost values, half of them cut at each end."""
    tail = (1 - PERCENTILE / 100) / 2
    share = np.cumsum(histogram.counts) / max(1, histogram.counts.sum())
    edges = np.linspace(histogram.low, histogram.high, _BINS + 1)
    first, last = int(np.searchsorted(share, tail, "right")), int(np.searchsorted(share, 1 - tail, "left"))
    return float(edges[min(first, _BINS - 1)]), float(edges[min(last, _BINS - 1) + 1])


def mse_range(histogram: Histogram, levels: int) -> Range:
    """The range with the least squared error: rounding inside (step^2 / 12), clipping outside."""

    def cost(low: float, high: float) -> float:
        centres = histogram.centres
        clipped = np.clip(centres, low, high)
        rounding = ((high - low) / (levels - 1)) ** 2 / 12
        return float((histogram.counts * ((centres - clipped) ** 2 + rounding)).sum())

    return _cheapest(histogram, cost)


def entropy_range(histogram: Histogram, levels: int) -> Range:
    """The range whose quantized distribution diverges least (Kullback-Leibler) from the clipped one; after TensorRT."""

    def cost(low: float, high: float) -> float:
        centres, counts = histogram.centres, histogram.counts.astype(np.float64)
        inside = (centres >= low) & (centres <= high)
        clipped = counts * inside
        clipped[np.argmax(inside)] += counts[centres < low].sum()
        clipped[len(inside) - 1 - np.argmax(inside[::-1])] += counts[centres > high].sum()
        return _divergence(clipped, _as_quantized(centres, counts * inside, low, high, levels))

    return _cheapest(histogram, cost)


_CHOICES: dict[str, Callable[[Histogram, int], Range]] = {
    "percentile": percentile_range,
    "mse": mse_range,
    "entropy": entropy_range,
}


def _as_quantized(
    centres: NDArray[Any], counts: NDArray[Any], low: float, high: float, levels: int
) -> NDArray[np.float64]:
    """Counts after each level's share was spread evenly over the occupied bins that round to it."""
    level = np.clip(np.round((centres - low) / max(high - low, 1e-30) * (levels - 1)), 0, levels - 1).astype(np.int64)
    totals = np.bincount(level, counts, minlength=levels)
    occupied = np.bincount(level, counts > 0, minlength=levels)
    spread: NDArray[np.float64] = np.where(counts > 0, totals[level] / np.maximum(occupied[level], 1), 0.0)
    return spread


def _divergence(p: NDArray[Any], q: NDArray[Any]) -> float:
    # Bins that clipping filled, but quantization left empty, get a small share instead of an infinite divergence.
    p, q = p / p.sum(), np.maximum(q / max(q.sum(), 1e-30), 1e-9)
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def _cheapest(histogram: Histogram, cost: Callable[[float, float], float]) -> Range:
    if histogram.high <= histogram.low:
        return histogram.low, histogram.high
    # A range contains 0 (padding and ReLU need it), so each end shrinks towards it: the upper first, then the lower.
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    high = min((high * float(share) for share in _SHRINKS), key=lambda end: cost(low, end))
    low = min((low * float(share) for share in _SHRINKS), key=lambda end: cost(end, high))
    return low, high


def _widened(known: Range | None, name: str, values: NDArray[Any]) -> Range:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise QuantizationFailed(f"the tensor {name} becomes NaN or infinite in calibration", hint="Check the model")
    return (low, high) if known is None else (min(known[0], low), max(known[1], high))


class _Watched:
    """A model all of whose float activations are outputs."""

    def __init__(self, model: Path) -> None:
        graph = onnx.shape_inference.infer_shapes(onnx.load_model(model))
        floats = {value.name: value for value in graph.graph.value_info if _is_float(value)}
        produced = [name for node in graph.graph.node for name in node.output if name in floats]
        self._outputs = [value.name for value in graph.graph.output if _is_float(value)] + produced
        self._inputs = [value.name for value in graph.graph.input if _is_float(value)]
        graph.graph.output.extend(floats[name] for name in produced)
        self._session = cpu_session(graph.SerializeToString())

    def run(self, feed: Feed) -> dict[str, NDArray[Any]]:
        """The values of every float input and activation that is not empty."""
        names = [output.name for output in self._session.get_outputs()]
        values = dict(zip(names, run_once(self._session, feed), strict=True))
        watched = {name: values[name] for name in self._outputs} | {name: feed[name] for name in self._inputs}
        return {name: value for name, value in watched.items() if value.size}


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT)
