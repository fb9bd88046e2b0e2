"""Power beside a timed run: an idle baseline, then samples until the run is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .figures import Sample
from .meter import PowerMeter
from .source import PowerUnavailable

IDLE_SECONDS = 5.0
"""Idle baseline before the load, as Qualcomm's own device monitor takes it (reference/toolchains.md, 4.1)."""

T = TypeVar("T")


@dataclass(frozen=True)
class PowerRecord:
    """What the meter saw; `unavailable` is the reason where it saw nothing. Times are of the monotonic clock."""

    source: str = ""
    unavailable: str = ""
    idle: tuple[float, float] = (0.0, 0.0)
    samples: list[Sample] = field(default_factory=list)


def record_power(run: Callable[[], T]) -> tuple[T, PowerRecord]:
    """Run something with the meter beside it."""
    with PowerMeter() as meter:
        began = time.monotonic()
        if not meter.unavailable:
            time.sleep(IDLE_SECONDS)
        idle = (began, time.monotonic())
        result = run()
        try:
            return result, PowerRecord(meter.source, "", idle, meter.samples())
        except PowerUnavailable as error:
            return result, PowerRecord(meter.source, str(error))
