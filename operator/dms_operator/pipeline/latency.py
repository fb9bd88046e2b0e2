"""Times queries one after the other, and bounds a percentile as MLPerf's LoadGen does (single stream)."""

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..api.quantities import Duration
from ..api.stages import LatencyFacts, ProfileName, Provenance

CONFIDENCE = 0.99
"""LoadGen's confidence of early stopping (loadgen/early_stopping.cc)."""

_NANOSECOND = 1e-9
_SECONDS_BETWEEN_REPORTS = 0.5

Report = Callable[[int, int], None]
"""Called with (done, total) queries; the total grows when time, not the number of queries, decides the end."""


@dataclass(frozen=True)
class Profile:
    """A run ends after both the queries and the seconds."""

    queries: int
    seconds: float


PROFILES: dict[ProfileName, Profile] = {
    # rapid, quick and normal: the run modes of MLPerf Mobile (mobile_app_open, tasks.pbtxt)
    "rapid": Profile(64, 6.0),
    "quick": Profile(128, 10.0),
    "normal": Profile(1024, 60.0),
    # MLPerf Inference's closed rules for single stream (mlperf.conf)
    "official": Profile(1024, 600.0),
}


@dataclass(frozen=True)
class Timing:
    """Latencies of single queries in nanoseconds, in the order in which they ran, and the whole run's seconds."""

    nanoseconds: NDArray[np.int64]
    seconds: float

    @property
    def throughput(self) -> float:
        """Queries per second of the whole run."""
        return len(self.nanoseconds) / self.seconds


def measure(query: Callable[[], None], profile: Profile, warmup: int, report: Report) -> Timing:
    """Warm up, then time queries until the profile's queries and seconds are both over.

    The clock is monotonic; the timed loop allocates nothing that grows, and the garbage collector rests.
    """
    for _ in range(warmup):
        query()
    report(0, profile.queries)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        return _timed(query, profile, report)
    finally:
        if collecting:
            gc.enable()


def _timed(query: Callable[[], None], profile: Profile, report: Report) -> Timing:
    clock = time.perf_counter_ns
    latencies = np.zeros(max(profile.queries, 1024), dtype=np.int64)
    started = clock()
    ends = started + int(profile.seconds / _NANOSECOND)
    reports, done = started, 0
    while done < profile.queries or clock() < ends:
        if done == len(latencies):
            latencies = np.concatenate([latencies, np.zeros_like(latencies)])
        before = clock()
        query()
        after = clock()
        latencies[done] = after - before
        done += 1
        if after - reports > _SECONDS_BETWEEN_REPORTS / _NANOSECOND:
            report(done, _expected(done, after - started, profile))
            reports = after
    report(done, done)
    return Timing(latencies[:done].copy(), (clock() - started) * _NANOSECOND)


def _expected(done: int, elapsed_ns: int, profile: Profile) -> int:
    """How many queries the whole run will have, at the present pace."""
    at_this_pace = done * profile.seconds / (elapsed_ns * _NANOSECOND)
    return max(profile.queries, done, math.ceil(at_this_pace))


def percentile(nanoseconds: NDArray[np.int64], percent: float) -> float:
    """The smallest observed latency, in seconds, that at least `percent` % of the queries did not exceed."""
    return float(np.percentile(nanoseconds, percent, method="inverted_cdf")) * _NANOSECOND


def upper_bound(nanoseconds: NDArray[np.int64], percent: float, confidence: float = CONFIDENCE) -> float | None:
    """A latency in seconds that the true percentile does not exceed, at this confidence; None: too few samples.

    LoadGen's early stopping estimate: with t the largest number for which P[Bin(n, 1 - p) <= t] <= 1 - confidence,
    t - 1 highest latencies are discarded. Needs t >= 1: 64 queries for p90, 662 for p99.
    """
    discarded = discardable(len(nanoseconds), percent, confidence)
    if discarded is None:
        return None
    return float(np.sort(nanoseconds)[len(nanoseconds) - 1 - discarded]) * _NANOSECOND


def discardable(samples: int, percent: float, confidence: float = CONFIDENCE) -> int | None:
    """How many of the highest latencies the bound may leave out; None when there are too few samples for any bound."""
    over, total = 0, _binomial(samples, 0, percent)
    # rounding in the logarithms: 1e-9 is far below the steps of the tail probability near 0.01
    while total <= 1 - confidence + 1e-9 and over < samples:
        over += 1
        total += _binomial(samples, over, percent)
    allowed = over - 1
    return allowed - 1 if allowed >= 1 else None


def _binomial(samples: int, over: int, percent: float) -> float:
    """Probability that exactly `over` of the samples exceed the true percentile."""
    below = percent / 100
    ways = math.lgamma(samples + 1) - math.lgamma(over + 1) - math.lgamma(samples - over + 1)
    return math.exp(ways + over * math.log1p(-below) + (samples - over) * math.log(below))


def latency_facts(timing: Timing, gated_percent: float, provenance: Provenance, source: str) -> LatencyFacts:
    """Percentiles and the gated percentile's upper bound."""
    latencies = timing.nanoseconds
    bound = upper_bound(latencies, gated_percent)
    return LatencyFacts(
        provenance=provenance,
        p50=Duration.of_seconds(percentile(latencies, 50)),
        p90=Duration.of_seconds(percentile(latencies, 90)),
        p99=Duration.of_seconds(percentile(latencies, 99)),
        bound=None if bound is None else Duration.of_seconds(bound),
        samples=len(latencies),
        source=source,
        notes="" if bound is not None else f"too few samples for a bound of p{gated_percent:g}",
    )
