"""Times queries one after the other (single stream)."""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .percentiles import NANOSECOND

if TYPE_CHECKING:  # a board has no pydantic
    from ..api.stages import ProfileName

SEGMENT_SECONDS = 0.5
"""Time between two progress reports; nothing is reported while queries are timed."""

_SEGMENT_QUERIES = 4096
"""Queries of one segment at most; the room for their latencies is made before the segment begins."""

EXTENSION = 3.0
"""A run that lacks queries for a bound goes on until this multiple of its profile's seconds at most."""

Query = Callable[[], None]
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
    """Latencies of single queries in nanoseconds, in the order in which they ran."""

    nanoseconds: NDArray[np.int64]
    seconds: float
    """The whole run without progress reports."""
    first_seconds: float = 0.0
    """The very first inference, before any warm-up."""
    began: float = 0.0
    ended: float = 0.0
    """Monotonic clock (seconds) at the begin and end of the timed part, to place samples of power."""

    @property
    def throughput(self) -> float:
        """Queries per second of the whole run."""
        return len(self.nanoseconds) / self.seconds


def measure(queries: Sequence[Query], profile: Profile, warmup: int, report: Report, wanted: int = 0) -> Timing:
    """Warm up, then time queries in rotation until the profile's queries and seconds are both over.

    A run with fewer than `wanted` queries by then goes on, up to three times the profile's seconds. The clock is
    monotonic; nothing is allocated, reported or collected between the queries of a segment.
    """
    rotation = itertools.cycle(queries)
    first = _first(next(rotation))
    for _ in range(warmup):
        next(rotation)()
    report(0, profile.queries)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        return _timed(rotation, profile, report, wanted, first)
    finally:
        if collecting:
            gc.enable()


def _first(query: Query) -> float:
    before = time.perf_counter_ns()
    query()
    return (time.perf_counter_ns() - before) * NANOSECOND


def _timed(rotation: Iterator[Query], profile: Profile, report: Report, wanted: int, first: float) -> Timing:
    parts: list[NDArray[np.int64]] = []
    done, seconds, began = 0, 0.0, time.monotonic()
    while _goes_on(done, seconds, profile, wanted):
        room = np.zeros(min(_SEGMENT_QUERIES, _left(done, seconds, profile, wanted)), dtype=np.int64)
        filled, elapsed = _segment(rotation, room, _segment_seconds(done, seconds, profile))
        parts.append(room[:filled])
        done, seconds = done + filled, seconds + elapsed
        report(done, _expected(done, seconds, profile))
        if _goes_on(done, seconds, profile, wanted):
            # the report has used the caches: one query that does not count brings the model back
            next(rotation)()
    report(done, done)
    return Timing(np.concatenate(parts), seconds, first, began, time.monotonic())


def _segment(rotation: Iterator[Query], room: NDArray[np.int64], seconds: float) -> tuple[int, float]:
    """Fill the room with latencies until it is full or the seconds are over; gives how many, and the time taken."""
    clock, done = time.perf_counter_ns, 0
    started = clock()
    ends = started + int(seconds / NANOSECOND)
    after = started
    while done < len(room) and (after < ends or not done):
        query = next(rotation)
        before = clock()
        query()
        after = clock()
        room[done] = after - before
        done += 1
    return done, (clock() - started) * NANOSECOND


def _goes_on(done: int, seconds: float, profile: Profile, wanted: int) -> bool:
    if done < profile.queries or seconds < profile.seconds:
        return True
    return done < wanted and seconds < profile.seconds * EXTENSION


def _left(done: int, seconds: float, profile: Profile, wanted: int) -> int:
    """Queries that are still to come; unknown (a whole segment) while the time is not over."""
    if seconds < profile.seconds:
        return _SEGMENT_QUERIES
    return max(1, max(profile.queries, wanted) - done)


def _segment_seconds(done: int, seconds: float, profile: Profile) -> float:
    left = profile.seconds - seconds
    return min(SEGMENT_SECONDS, left) if left > 0 and done >= profile.queries else SEGMENT_SECONDS


def _expected(done: int, seconds: float, profile: Profile) -> int:
    """How many queries the whole run will have, at the present pace."""
    return max(profile.queries, done, math.ceil(done * profile.seconds / seconds))
