"""Power of the board beside a timed run."""

import time
from collections.abc import Callable
from typing import Any

from ..api.quantities import Energy, Power
from .power import PowerMeter, PowerUnavailable, figures
from .rows import Row

IDLE_SECONDS = 5.0
"""Idle baseline before the load, as Qualcomm's own device monitor takes it (reference/toolchains.md, 4.1)."""

NO_BOARD = "the board is not at hand, and the power of another machine says nothing about it"


def with_power(run: Callable[[], Row], meter: PowerMeter | None = None) -> tuple[Row, dict[str, Any]]:
    """Run a row with the meter beside it, and give the row and fields of BenchmarkFacts."""
    with meter or PowerMeter() as sampled:
        began = time.monotonic()
        if not sampled.unavailable:
            time.sleep(IDLE_SECONDS)
        idle = (began, time.monotonic())
        row = run()
        return row, _fields(sampled, idle, row)


def unavailable(reason: str) -> dict[str, Any]:
    """Fields of BenchmarkFacts without a figure: the reason, never 0."""
    return {"power_source": "unavailable", "power_note": reason[:300]}


def _fields(meter: PowerMeter, idle: tuple[float, float], row: Row) -> dict[str, Any]:
    assert row.timing
    try:
        found = figures(meter.samples(), idle, (row.timing.began, row.timing.ended), row.throughput)
    except PowerUnavailable as error:
        return unavailable(str(error))
    return {
        "power": Power.of_watts(found.above_idle),
        "idle_power": Power.of_watts(found.idle),
        "energy_per_inference": Energy.of_joules(found.joules_per_inference),
        "power_source": meter.source[:200],
        "power_note": f"mean of {found.samples} samples at {found.load * 1e3:.0f} mW, idle subtracted",
    }
