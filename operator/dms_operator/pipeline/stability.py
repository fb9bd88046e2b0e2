"""Whether the queries of a run were alike: halves, drift and outliers. Pure functions of a run's latencies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISAGREEMENT = 0.05
"""Halves whose medians differ by more than this share of the smaller one were not run under the same conditions."""

DRIFT = 0.05
"""Largest accepted change of the median from the first to the last of ten windows, as the trend gives it."""

OUTLIERS = 0.05
"""Largest accepted share of outliers; of normally distributed latencies 0.0001 % are beyond the outer fence."""

FENCE = 3.0
"""Tukey's outer fence, in interquartile ranges above the third quartile: `far out` (Tukey 1977)."""

_WINDOWS = 10
_FEWEST = 4 * _WINDOWS
"""Queries below which medians of windows say nothing."""


@dataclass(frozen=True)
class Stability:
    """What was found out about a run; shares of the median (or of all queries)."""

    halves: float
    """Difference of the halves' medians."""
    drift: float
    """Change of the median over the run, positive is slower."""
    outliers: float
    """Share of queries beyond the outer fence."""

    @property
    def halves_agree(self) -> bool:
        """False asks for a second pass."""
        return self.halves <= DISAGREEMENT

    @property
    def complaints(self) -> list[str]:
        """What speaks against the run, in words; empty for a quiet one."""
        found = []
        if not self.halves_agree:
            found.append(f"the medians of its halves differ by {self.halves:.0%}")
        if abs(self.drift) > DRIFT:
            found.append(f"latency drifts by {self.drift:+.0%}")
        if self.outliers > OUTLIERS:
            found.append(f"{self.outliers:.0%} outliers")
        return found

    def to_wire(self) -> dict[str, Any]:
        """For the report."""
        return {"halves": self.halves, "drift": self.drift, "outliers": self.outliers, "complaints": self.complaints}


def stability(nanoseconds: NDArray[np.int64]) -> Stability:
    """Judge a run, in the order in which its queries ran; too short runs show nothing and so find nothing."""
    if len(nanoseconds) < _FEWEST:
        return Stability(0.0, 0.0, _outliers(nanoseconds))
    first, second = (float(np.median(half)) for half in np.array_split(nanoseconds, 2))
    halves = abs(first - second) / max(1.0, min(first, second))
    return Stability(halves, _drift(nanoseconds), _outliers(nanoseconds))


def _drift(nanoseconds: NDArray[np.int64]) -> float:
    """Least squares line through the medians of ten windows; its rise over the run as a share of the median."""
    medians = np.array([np.median(window) for window in np.array_split(nanoseconds, _WINDOWS)])
    slope = float(np.polyfit(np.arange(_WINDOWS), medians, 1)[0])
    return slope * (_WINDOWS - 1) / max(1.0, float(np.median(medians)))


def _outliers(nanoseconds: NDArray[np.int64]) -> float:
    lower, upper = np.percentile(nanoseconds, [25, 75])
    # a clock tick or two of spread must not make every third query an outlier
    spread = max(float(upper - lower), 0.01 * float(upper))
    return float((nanoseconds > upper + FENCE * spread).mean())
