"""Bounds of a paired statistic by the bootstrap: BCa, bias-corrected and accelerated (Efron 1987)."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.confidence import ACCURACY, FEWEST_RESAMPLED

Statistic = Callable[[NDArray[Any]], float]
"""A figure of chosen sample numbers, which may repeat."""

_RESAMPLES = 2000
"""Errors of a 5 % tail estimated from so many are half a percent."""
_GROUPS = 200
"""Groups left out in turn for the acceleration; single samples where there are fewer."""

_NORMAL = NormalDist()


def paired_bounds(samples: int, statistic: Statistic, seed: int = 0) -> tuple[float | None, float | None]:
    """Lower and upper one-sided bound of the statistic; None twice for fewer than FEWEST_RESAMPLED samples."""
    if samples < FEWEST_RESAMPLED:
        return None, None
    rng = np.random.default_rng(seed)
    found = statistic(np.arange(samples))
    resampled = np.sort([statistic(rng.integers(0, samples, samples)) for _ in range(_RESAMPLES)])
    below = (np.searchsorted(resampled, found, "left") + np.searchsorted(resampled, found, "right")) / 2
    share = float(below) / _RESAMPLES
    if not 0 < share < 1:
        return float(resampled[0]), float(resampled[-1])
    bias, acceleration = _NORMAL.inv_cdf(share), _acceleration(samples, statistic)
    low, high = (_rank(bias, acceleration, _NORMAL.inv_cdf(level)) for level in (1 - ACCURACY, ACCURACY))
    return float(np.quantile(resampled, low)), float(np.quantile(resampled, high))


def _rank(bias: float, acceleration: float, z: float) -> float:
    """Which quantile of the resampled figures is the bound (Efron 1987, equation 2.3)."""
    return _NORMAL.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))


def _acceleration(samples: int, statistic: Statistic) -> float:
    """Skewness of the statistic, from leaving out one group after the other."""
    everything = np.arange(samples)
    groups = np.array_split(everything, min(samples, _GROUPS))
    figures = np.array([statistic(np.delete(everything, group)) for group in groups])
    away = figures.mean() - figures
    spread = float((away**2).sum())
    return float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
