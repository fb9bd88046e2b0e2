"""Power: a stated budget has to be proven by a figure."""

from ...api.quantities import Power
from ...api.stages import BenchmarkFacts
from ...api.status import GateStatus
from ..text import clip, number
from .provenance import UNKNOWN


def power_gate(benchmark: BenchmarkFacts, budget: Power) -> GateStatus:
    """Hold the mean power above idle against the budget; `unavailable` is never a pass."""
    limit = _milliwatts(budget)
    if benchmark.power is None:
        why = f" ({clip(benchmark.power_note, 300)})" if benchmark.power_note else ""
        message = f"power could not be measured{why}, budget {limit}"
        return GateStatus(name="power", outcome="Inconclusive", limit=limit, message=message)
    value, where = _milliwatts(benchmark.power), benchmark.power_provenance or UNKNOWN
    return GateStatus(
        name="power",
        outcome="Pass" if benchmark.power.value <= budget.value else "Fail",
        value=value,
        limit=limit,
        message=f"mean power {value} ({where}, {clip(benchmark.power_source, 200)}), budget {limit}",
    )


def _milliwatts(power: Power) -> str:
    return f"{number(power.value * 1e3, 1)} mW"
