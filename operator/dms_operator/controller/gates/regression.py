"""Regression: a new revision is hardly slower or less accurate than the stable one, whatever the budgets allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, hypot

from ...api.confidence import MOST_SAMPLES
from ...api.spec import RegressionSpec
from ...api.stages import PROVENANCE_ORDER, AccuracyFacts, BenchmarkFacts, LatencyFacts, VariantFacts
from ...api.status import GateName, GateOutcome, GateStatus, ProvenLatency, ProvenTarget
from ..text import loss, milliseconds, number
from .drop import ROUNDING, roughly
from .provenance import counts


@dataclass(frozen=True)
class Baseline:
    """What a target reached in the revision that a candidate is held against."""

    revision: str
    target: ProvenTarget
    accepted: bool = False
    """The candidate is the stable revision itself: it was held against this one before it became stable."""


def regression_gates(
    variant: VariantFacts,
    benchmark: BenchmarkFacts,
    toolchain: str,
    baseline: Baseline | None,
    allowed: RegressionSpec,
) -> Iterator[GateStatus]:
    """Accuracy, then latency. Without a baseline there is nothing to be worse than: Pass, and the message says so."""
    if baseline is None:
        yield _first("accuracyRegression", loss(variant.accuracy.metric, allowed.accuracy))
        yield _first("latencyRegression", _percent(allowed.latency.value))
        return
    for gate in (_accuracy(variant.accuracy, baseline, allowed), _latency(benchmark, toolchain, baseline, allowed)):
        yield _as_accepted(gate) if baseline.accepted and gate.outcome != "Pass" else gate


def _first(name: GateName, limit: str) -> GateStatus:
    return GateStatus(name=name, outcome="Pass", limit=limit, message="no stable revision to be held against")


def _as_accepted(gate: GateStatus) -> GateStatus:
    return gate.model_copy(update={"outcome": "Pass", "message": f"{gate.message}; accepted when it became stable"})


def _latency(benchmark: BenchmarkFacts, toolchain: str, baseline: Baseline, allowed: RegressionSpec) -> GateStatus:
    """Medians of the strongest provenance that both have: tails differ from run to run, and the budget holds them."""
    pair = _common(benchmark, toolchain, baseline.target)
    against, limit = f"stable revision {baseline.revision}", _percent(allowed.latency.value)
    if pair is None:
        message = f"no latency of the same provenance as that of {against} to hold against it"
        return GateStatus(name="latencyRegression", outcome="Inconclusive", limit=limit, message=message)
    ours, theirs = pair
    rise = ours.p50.value / theirs.p50.value - 1 if theirs.p50.value else 0.0
    word = f"{_percent(abs(rise))} {'below' if rise < 0 else 'above'}"
    message = f"p50 {milliseconds(ours.p50)} ({ours.provenance}) is {word} {milliseconds(theirs.p50)} of {against}"
    outcome: GateOutcome = "Pass" if rise <= allowed.latency.value + ROUNDING else "Fail"
    if outcome == "Fail" and ours.noisy:
        outcome, message = "Inconclusive", f"{message}, but the run was noisy: measure again"
    value = _percent(rise)
    return GateStatus(
        name="latencyRegression", outcome=outcome, value=value, limit=limit, message=f"{message}, {limit} allowed"
    )


def _common(
    benchmark: BenchmarkFacts, toolchain: str, target: ProvenTarget
) -> tuple[LatencyFacts, ProvenLatency] | None:
    theirs = {latency.provenance: latency for latency in target.latencies}
    pairs = [
        (ours, theirs[ours.provenance])
        for ours in benchmark.latencies
        if ours.provenance in theirs and counts(ours, toolchain)
    ]
    return max(pairs, key=lambda pair: PROVENANCE_ORDER.index(pair[0].provenance), default=None)


def _accuracy(ours: AccuracyFacts, baseline: Baseline, allowed: RegressionSpec) -> GateStatus:
    """Scores of two models, perhaps on other samples: no pairs, so a loss beyond the limit only fails beyond chance.

    The difference's bound is Newcombe's (1998, method 10): the distances to both scores' limits, squared and added.
    """
    theirs, against = baseline.target.accuracy, f"stable revision {baseline.revision}"
    limit = loss(ours.metric, allowed.accuracy)
    if ours.metric != theirs.metric or ours.metric == "cosine":
        why = "agreement with another fp32 model" if ours.metric == theirs.metric else f"scored by {theirs.metric}"
        message = f"not comparable with {against}: {why}"
        return GateStatus(name="accuracyRegression", outcome="Pass", limit=limit, message=message)
    lower_is_better = ours.metric == "mae"
    lost = ours.value - theirs.value if lower_is_better else theirs.value - ours.value
    chance = hypot(_better(ours, lower_is_better), _worse(theirs, lower_is_better))
    outcome: GateOutcome = "Pass" if lost <= allowed.accuracy + ROUNDING else "Inconclusive"
    if lost - chance > allowed.accuracy + ROUNDING:
        outcome = "Fail"
    message = f"lost {loss(ours.metric, lost)} of {ours.metric} against {against}, {limit} allowed"
    if outcome == "Inconclusive":
        message += f", which may be chance{_deciding(ours.samples, chance, lost - allowed.accuracy)}"
    return GateStatus(
        name="accuracyRegression", outcome=outcome, value=loss(ours.metric, lost), limit=limit, message=message
    )


def _better(facts: AccuracyFacts, lower_is_better: bool) -> float:
    return facts.value - facts.low if lower_is_better else facts.high - facts.value


def _worse(facts: AccuracyFacts, lower_is_better: bool) -> float:
    return facts.high - facts.value if lower_is_better else facts.value - facts.low


def _deciding(samples: int, chance: float, beyond: float) -> str:
    """Bounds close in with the square root of the number of samples."""
    if beyond <= 0 or samples * (chance / beyond) ** 2 > MOST_SAMPLES:
        return ""
    return f": about {roughly(ceil(samples * (chance / beyond) ** 2))} samples would decide"


def _percent(ratio: float) -> str:
    return f"{number(ratio * 100, 1)} %"
