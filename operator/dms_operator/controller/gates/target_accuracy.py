"""Accuracy on target: the compiled model, on the board or its functional simulator, against the fp32 reference.

A board runs every evaluation sample, a simulator a few (16, at seconds each), which prove nothing of a limit of one
point. So there are two rules:
- enough samples for a proof: the rule of the accuracy gate;
- too few: the proof is that of the accuracy gate, on the host, and the samples may contradict it. Beyond chance (below
  1 % likely if the true drop were just the limit): Fail. Within the limit, or a single lost sample is already more than
  the limit: Pass. In between: Inconclusive.
"""

from math import exp, lgamma, log, log1p

from ...api.stages import AccuracyFacts, BenchmarkFacts
from ...api.status import GateOutcome, GateStatus
from ..text import loss, number
from .drop import ROUNDING, Doubt, Drop

CHANCE = 0.01
"""A drop that is less likely than this, were the true drop just the limit, is not chance (99 % confidence)."""
NEGLIGIBLE = 1e-12
"""Terms below this share of the sum end it: above the mean they shrink at every step."""


def target_accuracy_gate(benchmark: BenchmarkFacts, limit: float) -> GateStatus:
    """Hold the drop on target against the largest accepted one."""
    accuracy, drop = benchmark.accuracy_on_target, benchmark.accuracy_on_target_drop
    if accuracy is None or drop is None or accuracy.samples < 1:
        message = "accuracy on target was not measured"
        return GateStatus(name="accuracyOnTarget", outcome="Inconclusive", message=message)
    found = Drop.of(accuracy, drop, benchmark.accuracy_on_target_interval, limit)
    outcome = found.outcome if found.provable else contradicted(accuracy, drop, limit)
    lost, allowed = loss(accuracy.metric, drop), loss(accuracy.metric, limit)
    where = f"{benchmark.accuracy_provenance or 'unknown'}, {accuracy.samples} samples{_agreement(accuracy)}"
    bound = found.bound if found.provable else ""
    message = f"lost {lost} of {accuracy.metric} on target ({where}){bound}, {allowed} allowed{_advice(found, outcome)}"
    return GateStatus(name="accuracyOnTarget", outcome=outcome, value=lost, limit=allowed, message=message)


def target_accuracy_doubt(benchmark: BenchmarkFacts, limit: float) -> Doubt | None:
    """What samples on the target are lacking for; None where they are too few for a proof of their own anyway."""
    accuracy, drop = benchmark.accuracy_on_target, benchmark.accuracy_on_target_drop
    if accuracy is None or drop is None:
        return None
    found = Drop.of(accuracy, drop, benchmark.accuracy_on_target_interval, limit)
    return found.doubt if found.provable else None


def _advice(found: Drop, outcome: GateOutcome) -> str:
    if found.provable:
        return f": {found.advice}" if outcome == "Inconclusive" else ""
    return "" if outcome == "Fail" else f": too few for a proof of their own, which takes {found.fewest}"


def contradicted(accuracy: AccuracyFacts, drop: float, limit: float) -> GateOutcome:
    """Whether too few samples for a proof speak against the variant."""
    if drop <= limit + ROUNDING:
        return "Pass"
    if not chance_explains(accuracy, drop, limit):
        return "Fail"
    resolves = accuracy.samples * limit >= 1
    return "Inconclusive" if resolves else "Pass"


def chance_explains(accuracy: AccuracyFacts, drop: float, limit: float) -> bool:
    """Whether so few samples may show this drop although the true one is within the limit.

    For top1 lost samples are counted (binomial tail); for other metrics the drop that the score's own 95 %
    confidence interval still allows is held against the limit.
    """
    if accuracy.metric == "top1":
        return binomial_tail(round(drop * accuracy.samples), accuracy.samples, limit) >= CHANCE
    better = accuracy.value - accuracy.low if accuracy.metric == "mae" else accuracy.high - accuracy.value
    return drop - better <= limit + ROUNDING


def binomial_tail(at_least: int, trials: int, chance: float) -> float:
    """Probability of at least so many events in so many trials; for counts above the mean."""
    if at_least <= 0 or chance >= 1:
        return 1.0
    if chance <= 0 or at_least > trials:
        return 0.0
    log_ways = lgamma(trials + 1) - lgamma(at_least + 1) - lgamma(trials - at_least + 1)
    term = exp(log_ways + at_least * log(chance) + (trials - at_least) * log1p(-chance))
    total, count = 0.0, at_least
    while term > total * NEGLIGIBLE:
        total += term
        term *= (trials - count) / (count + 1) * chance / (1 - chance)
        count += 1
    return min(1.0, total)


def _agreement(accuracy: AccuracyFacts) -> str:
    return f", agreement {number(accuracy.agreement * 100, 1)} %" if accuracy.agreement is not None else ""
