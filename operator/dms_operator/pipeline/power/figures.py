"""From samples to figures: mean power of idle and load, and energy per inference above idle. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .source import PowerUnavailable

FEWEST = 5
"""Samples below which a mean says nothing."""


@dataclass(frozen=True)
class Sample:
    """A reading at a time of the monotonic clock (seconds)."""

    time: float
    watts: float | None = None
    joules: float | None = None


@dataclass(frozen=True)
class PowerFigures:
    """Means in watts; the load's figure is the whole board's, `above_idle` what the model adds."""

    idle: float
    load: float
    joules_per_inference: float
    samples: int

    @property
    def above_idle(self) -> float:
        """Mean power that the load adds, in watts."""
        return self.load - self.idle


def figures(
    samples: Sequence[Sample], idle: tuple[float, float], load: tuple[float, float], inferences_per_second: float
) -> PowerFigures:
    """Mean power from `load[0]` to `load[1]` against the idle time before, and energy = (load - idle) / throughput.

    Raises PowerUnavailable, with the reason, rather than give a figure that means nothing.
    """
    rest, work = _within(samples, idle), _within(samples, load)
    for name, found in (("idle", rest), ("load", work)):
        if len(found) < FEWEST:
            raise PowerUnavailable(f"{len(found)} samples of {name} are too few: at least {FEWEST}")
    before, during = mean_watts(rest), mean_watts(work)
    if during <= before:
        raise PowerUnavailable(f"the load's {during * 1e3:.0f} mW are not above idle's {before * 1e3:.0f} mW")
    return PowerFigures(before, during, (during - before) / inferences_per_second, len(work))


def mean_watts(samples: Sequence[Sample]) -> float:
    """Mean over time: from a counter its rise, else the trapezoids below the curve."""
    first, last = samples[0], samples[-1]
    span = last.time - first.time
    if first.joules is not None and last.joules is not None:
        return (last.joules - first.joules) / span
    steps = ((b.time - a.time) * ((a.watts or 0.0) + (b.watts or 0.0)) / 2 for a, b in pairwise(samples))
    return sum(steps) / span


def _within(samples: Sequence[Sample], window: tuple[float, float]) -> list[Sample]:
    return [sample for sample in samples if window[0] <= sample.time <= window[1]]
