"""Latency: the upper confidence bound of the percentile stays within the budget.

A bound rests on queries that are alike. Those of a noisy run are not; it passes where even its slowest one is within.
"""

from ...api.confidence import queries_needed
from ...api.quantities import Duration
from ...api.spec import BenchmarkSpec
from ...api.stages import BenchmarkFacts, LatencyFacts
from ...api.status import GateStatus
from ..text import milliseconds, percentile
from .provenance import judged_latency


def latency_gate(benchmark: BenchmarkFacts, toolchain: str, wanted: BenchmarkSpec) -> GateStatus:
    """Hold the bound of the strongest figure against the budget, and in a noisy run every single query."""
    latency = judged_latency(benchmark, toolchain, wanted)
    budget = milliseconds(wanted.latency_budget)
    if latency is None:
        message = f"there is no latency figure of the target to hold against {budget}"
        return GateStatus(name="latency", outcome="Inconclusive", limit=budget, message=message)
    figure, text = _figure(latency, wanted)
    if figure is None:
        return _gate("Inconclusive", latency, None, budget, text)
    within = figure.value <= wanted.latency_budget.value
    if latency.noisy:
        return _noisy(latency, figure, wanted, text, within=within)
    return _gate("Pass" if within else "Fail", latency, figure, budget, text)


def _noisy(latency: LatencyFacts, figure: Duration, wanted: BenchmarkSpec, text: str, *, within: bool) -> GateStatus:
    """Pass if every query stayed within the budget; else nothing is proven, in either direction."""
    budget, slowest = milliseconds(wanted.latency_budget), latency.max
    if within and slowest is not None and slowest.value <= wanted.latency_budget.value:
        but = f"; the run was noisy, but even its slowest query took {milliseconds(slowest)}"
        return _gate("Pass", latency, figure, budget, text, but)
    return _gate("Inconclusive", latency, figure, budget, text, ", but the run was noisy: measure again")


def _figure(latency: LatencyFacts, wanted: BenchmarkSpec) -> tuple[Duration | None, str]:
    """What is held against the budget, in words too: the bound, or a median that is beyond the budget anyway."""
    if latency.bound is not None:
        return latency.bound, f"{_subject(latency, wanted)} at most {milliseconds(latency.bound)}"
    if latency.p50.value > wanted.latency_budget.value:
        return latency.p50, f"even p50 is {milliseconds(latency.p50)}"
    return None, _too_few(latency, wanted)


def _too_few(latency: LatencyFacts, wanted: BenchmarkSpec) -> str:
    name, needed = percentile(wanted.percentile), queries_needed(wanted.percentile)
    if not latency.samples:
        return f"{latency.source} gives no upper bound"
    more = f": {needed - latency.samples} more are needed" if needed > latency.samples else ""
    return f"{latency.samples} timed queries are too few for a bound of {name}{more}"


def _subject(latency: LatencyFacts, wanted: BenchmarkSpec) -> str:
    what = percentile(wanted.percentile) if latency.samples else "latency"
    return what if wanted.end_to_end is None else f"camera to decision: {what}"


def _gate(
    outcome: str, latency: LatencyFacts, value: Duration | None, budget: str, text: str, but: str = ""
) -> GateStatus:
    return GateStatus.model_validate(
        {
            "name": "latency",
            "outcome": outcome,
            "value": milliseconds(value) if value is not None else "",
            "limit": budget,
            "message": f"{text} ({latency.provenance}), budget {budget}{but}",
        }
    )
