"""Percentiles of observed latencies, and a bound on the true one as MLPerf's LoadGen gives it."""

import math

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.99
"""LoadGen's confidence of early stopping (loadgen/early_stopping.cc)."""

NANOSECOND = 1e-9


def percentile(nanoseconds: NDArray[np.int64], percent: float) -> float:
    """The smallest observed latency, in seconds, that at least `percent` % of the queries did not exceed."""
    # 99.9 % of 1000 is 999.0000000000001 in floats
    rank = max(1, math.ceil(len(nanoseconds) * percent / 100 - 1e-6))
    return float(np.partition(nanoseconds, rank - 1)[rank - 1]) * NANOSECOND


def upper_bound(nanoseconds: NDArray[np.int64], percent: float, confidence: float = CONFIDENCE) -> float | None:
    """A latency in seconds that the true percentile does not exceed, at this confidence; None: too few samples.

    LoadGen's early stopping estimate: with t the largest number for which P[Bin(n, 1 - p) <= t] <= 1 - confidence,
    t - 1 highest latencies are discarded. Needs t >= 1: 64 queries for p90, 662 for p99.
    """
    discarded = discardable(len(nanoseconds), percent, confidence)
    if discarded is None:
        return None
    return float(np.sort(nanoseconds)[len(nanoseconds) - 1 - discarded]) * NANOSECOND


def discardable(samples: int, percent: float, confidence: float = CONFIDENCE) -> int | None:
    """How many of the highest latencies the bound may leave out; None when there are too few samples for any bound."""
    over, total = 0, _binomial(samples, 0, percent)
    # rounding in the logarithms: 1e-9 is far below the steps of the tail probability near 0.01
    while total <= 1 - confidence + 1e-9 and over < samples:
        over += 1
        total += _binomial(samples, over, percent)
    allowed = over - 1
    return allowed - 1 if allowed >= 1 else None


def needed(percent: float, confidence: float = CONFIDENCE) -> int:
    """The smallest number of queries that bounds this percentile: 64 for p90, 662 for p99, 6636 for p99.9."""
    low, high = 1, 2
    while discardable(high, percent, confidence) is None:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if discardable(middle, percent, confidence) is None else (low, middle)
    return low


def _binomial(samples: int, over: int, percent: float) -> float:
    """Probability that exactly `over` of the samples exceed the true percentile."""
    below = percent / 100
    ways = math.lgamma(samples + 1) - math.lgamma(over + 1) - math.lgamma(samples - over + 1)
    return math.exp(ways + over * math.log1p(-below) + (samples - over) * math.log(below))
