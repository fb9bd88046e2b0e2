"""Percentiles of observed latencies, and a bound on the true one as MLPerf's LoadGen gives it."""

import math

import numpy as np
from numpy.typing import NDArray

from ..api.confidence import LATENCY, discardable

NANOSECOND = 1e-9


def percentile(nanoseconds: NDArray[np.int64], percent: float) -> float:
    """The smallest observed latency, in seconds, that at least `percent` % of the queries did not exceed."""
    # 99.9 % of 1000 is 999.0000000000001 in floats
    rank = max(1, math.ceil(len(nanoseconds) * percent / 100 - 1e-6))
    return float(np.partition(nanoseconds, rank - 1)[rank - 1]) * NANOSECOND


def upper_bound(nanoseconds: NDArray[np.int64], percent: float, confidence: float = LATENCY) -> float | None:
    """A latency in seconds that the true percentile does not exceed, at this confidence; None: too few samples.

    LoadGen's early stopping estimate: with t the largest number for which P[Bin(n, 1 - p) <= t] <= 1 - confidence,
    t - 1 highest latencies are discarded. Needs t >= 1: 64 queries for p90, 662 for p99.
    """
    discarded = discardable(len(nanoseconds), percent, confidence)
    if discarded is None:
        return None
    return float(np.sort(nanoseconds)[len(nanoseconds) - 1 - discarded]) * NANOSECOND
