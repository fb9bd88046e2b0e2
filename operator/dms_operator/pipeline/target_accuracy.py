"""How the target's outputs differ from the fp32 reference's, on the same samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..api.errors import ConversionFailed
from ..api.stages import AccuracyFacts, DropInterval, Metric, Provenance
from ..toolchains.base import Arrays
from .metrics import drop, drop_interval, score


@dataclass(frozen=True)
class TargetAccuracy:
    """Score on the target, how much worse it is than the reference there, and the errors of the raw outputs."""

    facts: AccuracyFacts
    drop: float
    interval: DropInterval
    provenance: Provenance
    errors: dict[str, float]
    """`maxAbsolute`, `meanAbsolute`, and `referenceMaxAbsolute` to judge them by."""


def judge(
    metric: Metric,
    values: NDArray[Any],
    reference: NDArray[Any],
    labels: NDArray[Any] | None,
    provenance: Provenance,
) -> TargetAccuracy:
    """Score the target's outputs against the reference's outputs, both [N, ...]."""
    facts = score(metric, values, labels, reference)
    base = score(metric, reference, labels, reference)
    lost, interval = drop(metric, base.value, facts.value), drop_interval(metric, values, reference, labels)
    return TargetAccuracy(facts, lost, interval, provenance, errors(values, reference))


def first_outputs(outputs: Sequence[Arrays], model: onnx.ModelProto, shape: tuple[int, ...]) -> NDArray[Any]:
    """The model's first output of each sample as [N, *shape], the reference's sample shape.

    Raises ConversionFailed when the compiled model lost the output, or gives NaN.
    """
    name = model.graph.output[0].name
    if any(name not in output for output in outputs):
        raise ConversionFailed(f"the compiled model has no output {name}, only {', '.join(outputs[0])}")
    values = np.stack([np.asarray(output[name]).reshape(shape) for output in outputs])
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise ConversionFailed(
            "the compiled model gives NaN or infinite values with the target's arithmetic",
            hint="Use another precision; fp16 overflows above 65504",
        )
    return values


def errors(values: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
    """Absolute errors over all values of all samples."""
    difference = np.abs(values.astype(np.float64) - reference.astype(np.float64))
    return {
        "maxAbsolute": float(difference.max()),
        "meanAbsolute": float(difference.mean()),
        "referenceMaxAbsolute": float(np.abs(reference.astype(np.float64)).max()),
    }
