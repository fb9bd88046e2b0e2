"""What a confidence interval of a drop says about a limit, and how many samples would decide (docs/gates.md)."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

from ...api.confidence import ACCURACY, FEWEST_RESAMPLED, MOST_SAMPLES, deciding_samples, fewest_samples
from ...api.stages import AccuracyFacts, DropInterval, Metric
from ...api.status import GateOutcome
from ..text import loss

ROUNDING = 1e-9
"""Figures pass through JSON and subtraction; a drop that equals the limit passes."""

CONFIDENCE = f"{ACCURACY * 100:g} % confidence"

COUNTED: tuple[Metric, ...] = ("top1", "macroF1")
"""Metrics of which samples without any loss prove only so much."""


Doubt = Literal["Unproven", "Unprovable"]
"""What samples are lacking for. Unproven: a loss that is within the limit as it was found. Unprovable: so few that not
even a variant without any loss could be proven."""


def fewest_to_prove(metric: Metric, limit: float) -> int:
    """Samples below which no drop of a metric is proven to be within a limit, even without any loss."""
    if metric not in COUNTED:
        return FEWEST_RESAMPLED
    return fewest_samples(limit) if limit < 1 else 1


def roughly(count: int) -> int:
    """A count rounded up to two digits: what it rests on is no more exact."""
    unit = int(10 ** max(0, len(str(count)) - 2))
    return ceil(count / unit) * unit


@dataclass(frozen=True)
class Drop:
    """A drop that was found, what it may be in truth, and the largest accepted one (absolute, positive is worse)."""

    metric: Metric
    value: float
    interval: DropInterval | None
    samples: int
    limit: float

    @classmethod
    def of(cls, accuracy: AccuracyFacts, drop: float, interval: DropInterval | None, limit: float) -> "Drop":
        """From the facts of a stage."""
        return cls(accuracy.metric, drop, interval, accuracy.samples, limit)

    @property
    def outcome(self) -> GateOutcome:
        """Pass: the upper bound is within the limit. Fail: the lower bound is beyond it. Else Inconclusive."""
        bounds = self._bounds
        if bounds is None:
            return "Inconclusive"
        if bounds[1] <= self.limit + ROUNDING:
            return "Pass"
        return "Fail" if bounds[0] > self.limit + ROUNDING else "Inconclusive"

    @property
    def within(self) -> bool:
        """Whether the drop as found is within the limit, proven or not."""
        return self.value <= self.limit + ROUNDING

    @property
    def fewest(self) -> int:
        """Samples below which nothing is proven, even without any loss."""
        return fewest_to_prove(self.metric, self.limit)

    @property
    def provable(self) -> bool:
        """Whether a variant without any loss could be proven with so many samples."""
        return self.samples >= self.fewest

    @property
    def doubt(self) -> Doubt | None:
        """What more samples would decide; None: it is decided, or the loss is probably beyond the limit."""
        if self.outcome != "Inconclusive":
            return None
        if not self.provable or self._bounds is None:
            return "Unprovable"
        return "Unproven" if self.within else None

    @property
    def bound(self) -> str:
        """The bound that speaks for the outcome, such as `, at most 0.8 points at 95 % confidence`; or empty."""
        bounds = self._bounds
        if bounds is None:
            return ""
        word, figure = ("at least", bounds[0]) if self.outcome == "Fail" else ("at most", bounds[1])
        return f", {word} {loss(self.metric, figure)} at {CONFIDENCE}"

    @property
    def advice(self) -> str:
        """How many samples would decide, in words."""
        if self.interval is None:
            return "the result has no confidence interval; make it again with an image of this version"
        needed = self.deciding
        if needed is None:
            return "the loss is about as large as what is allowed, so that more samples would hardly decide"
        return f"about {roughly(needed)} samples would decide"

    @property
    def deciding(self) -> int | None:
        """How many samples would decide at the present rate of losses; None for more than anybody has.

        Bounds of a mean close in with the square root of the number of samples.
        """
        found, bounds = self.interval, self._bounds
        if found and found.lost is not None and found.gained is not None:
            return deciding_samples(found.lost, found.gained, self.samples, self.limit)
        if bounds is None:
            return FEWEST_RESAMPLED
        away, width = abs(self.limit - self.value), bounds[1] - self.value if self.within else self.value - bounds[0]
        if width**2 * self.samples > away**2 * MOST_SAMPLES:
            return None
        return max(self.fewest, self.samples + 1, ceil(self.samples * (width / away) ** 2))

    @property
    def _bounds(self) -> tuple[float, float] | None:
        if self.interval is None or self.interval.low is None or self.interval.high is None:
            return None
        return self.interval.low, self.interval.high
