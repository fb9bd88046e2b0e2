"""Which layers to give 16 bits: those that win most quality per time, until a latency factor is used up.

Our own choice, made on the host, in the spirit of TI's `mixed_precision_factor` (latency over 8-bit latency), whose
algorithm TI does not publish. Give the result to TI's tools as `output-16bit-names`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from ..base import Arrays, Progress
from .fixed_point import CHANGEABLE, Precision, Range, activation_steps, to_fixed_point
from .graph import Graph
from .latency import price
from .layers import layers_of
from .predict import Outputs, predict, signal_to_noise


@dataclass(frozen=True)
class Candidate:
    """A layer's output, what 16 bits for it alone win (dB of signal over noise), and the seconds that they cost."""

    tensor: str
    gain: float
    cost: float


def sensitivity(
    model: onnx.ModelProto, ranges: Mapping[str, Range], samples: Sequence[Arrays], progress: Progress
) -> list[Candidate]:
    """Every changeable layer of a float model, the most worthwhile first."""
    reference = predict(model, samples, _silent)
    base = quality(model, ranges, Precision(), samples, reference)
    costs = _costs(model, ranges)
    found = []
    for done, (tensor, cost) in enumerate(costs.items()):
        progress("sensitivity", done, len(costs))
        alone = Precision(8, frozenset({tensor}))
        found.append(Candidate(tensor, quality(model, ranges, alone, samples, reference) - base, cost))
    progress("sensitivity", len(costs), len(costs))
    return sorted(found, key=lambda each: (-each.gain / max(each.cost, 1e-9), each.tensor))


def choose(candidates: Sequence[Candidate], seconds: float, factor: float) -> frozenset[str]:
    """The first candidates that win anything and fit together into `factor` times the 8-bit latency."""
    left, chosen = (factor - 1) * seconds, set()
    for each in candidates:
        if each.gain > 0 and each.cost <= left:
            left -= each.cost
            chosen.add(each.tensor)
    return frozenset(chosen)


def quality(
    model: onnx.ModelProto,
    ranges: Mapping[str, Range],
    precision: Precision,
    samples: Sequence[Arrays],
    reference: Sequence[Outputs],
) -> float:
    """Mean signal over quantization noise of the outputs, dB."""
    outputs = predict(to_fixed_point(model, ranges, precision), samples, _silent)
    ratios = [signal_to_noise(wanted, found) for wanted, found in zip(reference, outputs, strict=True)]
    return float(np.mean(ratios))


def _costs(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> dict[str, float]:
    """Seconds more per quantized output of a changeable layer."""
    steps = activation_steps(Graph(model), ranges, Precision())
    return {
        layer.output: price(layer, 16).seconds - price(layer).seconds
        for layer in layers_of(model)
        if layer.op in CHANGEABLE and layer.output in steps
    }


def _silent(step: str, done: int, total: int) -> None:
    """Many short runs: the caller reports the whole."""
