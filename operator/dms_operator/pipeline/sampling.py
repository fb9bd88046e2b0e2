"""Which samples are calibrated on and which are scored on: decided by a seed, and never the same ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..api.sample_counts import divided

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Disjoint sample numbers, and a note for the user where the dataset was too short for what was asked."""

    calibration: Indices
    evaluation: Indices
    notes: str = ""


def split(samples: int, calibration: int, evaluation: int, seed: int) -> Split:
    """Split `samples` sample numbers: the first of a seeded permutation evaluate, the next calibrate.

    A short dataset gives fewer of each; only a dataset of one sample uses it for both. Both are noted.
    """
    order = np.random.default_rng(seed).permutation(samples).astype(np.int64)
    if samples == 1:
        return Split(order, order, "the dataset's only sample served both calibration and evaluation")
    calibrating, evaluating = divided(samples, calibration, evaluation)
    notes = ""
    if (calibrating, evaluating) != (calibration, evaluation):
        notes = (
            f"the dataset has {samples} samples: {evaluating} of {evaluation} asked for evaluate, "
            f"{calibrating} of {calibration} others calibrate"
        )
    return Split(order[evaluating : evaluating + calibrating], order[:evaluating], notes)
