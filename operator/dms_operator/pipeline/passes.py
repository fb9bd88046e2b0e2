"""One run of a benchmark, or two where the first was disturbed, and what may be said about its figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import throttling
from .latency import Timing
from .stability import Stability, stability
from .throttling import ClockState


@dataclass(frozen=True)
class Pass:
    """A timed run, and the machine before and after it."""

    timing: Timing
    before: ClockState
    after: ClockState

    @property
    def stability(self) -> Stability:
        """How alike the queries were."""
        return stability(self.timing.nanoseconds)

    @property
    def complaints(self) -> list[str]:
        """What speaks against the run, in words."""
        return [*self.stability.complaints, *throttling.throttled(self.before, self.after)]

    def to_wire(self) -> dict[str, Any]:
        """For the report."""
        machine = throttling.to_wire(self.before, self.after)
        return {"queries": len(self.timing.nanoseconds), "stability": self.stability.to_wire(), "machine": machine}


@dataclass(frozen=True)
class Timed:
    """A model's passes, and the seconds from files to a session that can run."""

    load_seconds: float
    passes: list[Pass]


@dataclass(frozen=True)
class Outcome:
    """The run that counts, and what is to be said about it."""

    timing: Timing
    noisy: bool
    notes: str


def run_passes(time: Callable[[], Timing], *, repeat: bool) -> list[Pass]:
    """Run once; where `repeat` and the halves disagree, once more."""
    passes = [_pass(time)]
    if repeat and not passes[0].stability.halves_agree:
        passes.append(_pass(time))
    return passes


def _pass(time: Callable[[], Timing]) -> Pass:
    before = throttling.look()
    timing = time()
    return Pass(timing, before, throttling.look())


def outcome(passes: list[Pass]) -> Outcome:
    """A quiet last run counts alone; otherwise all queries count together, and the figures are noisy."""
    last = passes[-1]
    if not last.complaints:
        again = f"second pass: in the first {', '.join(passes[0].complaints)}" if len(passes) > 1 else ""
        return Outcome(_with_first(last.timing, passes[0]), False, again)
    return Outcome(_together([each.timing for each in passes]), True, f"noisy: {', '.join(last.complaints)}")


def _with_first(timing: Timing, first: Pass) -> Timing:
    """The first inference happens once, in the first pass."""
    return Timing(timing.nanoseconds, timing.seconds, first.timing.first_seconds, timing.began, timing.ended)


def _together(timings: list[Timing]) -> Timing:
    return Timing(
        np.concatenate([timing.nanoseconds for timing in timings]),
        sum(timing.seconds for timing in timings),
        timings[0].first_seconds,
        timings[0].began,
        timings[-1].ended,
    )
