"""Memory: a stated budget has to be proven by a measured peak."""

from ...api.quantities import Memory
from ...api.stages import BenchmarkFacts
from ...api.status import GateStatus
from ..text import mebibytes


def memory_gate(benchmark: BenchmarkFacts, budget: Memory) -> GateStatus:
    """Hold the peak against the budget. An estimate is a lower limit: it can miss the budget, but never prove it."""
    limit = mebibytes(budget)
    if benchmark.memory is None or benchmark.memory_provenance is None:
        message = f"memory could not be measured, budget {limit}"
        return GateStatus(name="memory", outcome="Inconclusive", limit=limit, message=message)
    value, where = mebibytes(benchmark.memory), benchmark.memory_provenance
    within = benchmark.memory.value <= budget.value
    if where == "estimated":
        message = f"memory is at least {value} ({where}: the artifact, inputs and outputs), budget {limit}"
        if within:
            message += ": only a run on the board tells the peak"
        outcome = "Inconclusive" if within else "Fail"
    else:
        message, outcome = f"peak memory {value} ({where}), budget {limit}", "Pass" if within else "Fail"
    return GateStatus.model_validate(
        {"name": "memory", "outcome": outcome, "value": value, "limit": limit, "message": message}
    )
