"""Power of the board as fields of BenchmarkFacts."""

from typing import Any

from ..api.quantities import Energy, Power
from .power import PowerUnavailable, figures
from .power.record import PowerRecord
from .rows import Row

NO_BOARD = "the board is not at hand, and the power of another machine says nothing about it"


def unavailable(reason: str) -> dict[str, Any]:
    """Fields of BenchmarkFacts without a figure: the reason, never 0."""
    return {"power_source": "unavailable", "power_note": reason[:300]}


def power_fields(record: PowerRecord, row: Row) -> dict[str, Any]:
    """Fields of BenchmarkFacts from what was recorded beside the row's run."""
    assert row.timing
    if record.unavailable:
        return unavailable(record.unavailable)
    try:
        found = figures(record.samples, record.idle, (row.timing.began, row.timing.ended), row.throughput)
    except PowerUnavailable as error:
        return unavailable(str(error))
    return {
        "power": Power.of_watts(found.above_idle),
        "idle_power": Power.of_watts(found.idle),
        "energy_per_inference": Energy.of_joules(found.joules_per_inference),
        "power_provenance": "measured",
        "power_source": record.source[:200],
        "power_note": f"mean of {found.samples} samples at {found.load * 1e3:.0f} mW, idle subtracted",
    }
