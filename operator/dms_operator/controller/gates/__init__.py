"""Gates: each holds one figure against one limit. Only Pass is a pass; Inconclusive never advances anything."""

from ...api import reasons
from ...api.status import GateName, GateStatus
from .accuracy import accuracy_doubt, accuracy_gate
from .delegation import delegation_gate
from .drop import COUNTED, Doubt, fewest_to_prove
from .latency import latency_gate
from .memory import memory_gate
from .power import power_gate
from .provenance import counted_latency, judged_latency, provenance_gate
from .regression import Baseline, regression_gates
from .target_accuracy import target_accuracy_doubt, target_accuracy_gate

__all__ = [
    "Baseline",
    "COUNTED",
    "Doubt",
    "accuracy_doubt",
    "accuracy_gate",
    "counted_latency",
    "delegation_gate",
    "fewest_to_prove",
    "first_miss",
    "judged_latency",
    "latency_gate",
    "memory_gate",
    "miss_reason",
    "power_gate",
    "provenance_gate",
    "regression_gates",
    "target_accuracy_doubt",
    "target_accuracy_gate",
]

_REASONS: dict[GateName, str] = {
    "accuracy": reasons.ACCURACY_GATE_FAILED,
    "accuracyOnTarget": reasons.ACCURACY_GATE_FAILED,
    "delegation": reasons.DELEGATION_GATE_FAILED,
    "provenance": reasons.PROVENANCE_TOO_WEAK,
    "latency": reasons.LATENCY_BUDGET_EXCEEDED,
    "power": reasons.POWER_BUDGET_EXCEEDED,
    "memory": reasons.MEMORY_BUDGET_EXCEEDED,
    "accuracyRegression": reasons.ACCURACY_REGRESSED,
    "latencyRegression": reasons.LATENCY_REGRESSED,
}
_INCONCLUSIVE_REASONS: dict[GateName, str] = {
    "accuracy": reasons.ACCURACY_INCONCLUSIVE,
    "accuracyOnTarget": reasons.ACCURACY_INCONCLUSIVE,
    "latency": reasons.LATENCY_INCONCLUSIVE,
    "power": reasons.POWER_UNAVAILABLE,
    "memory": reasons.MEMORY_UNAVAILABLE,
    "accuracyRegression": reasons.REGRESSION_INCONCLUSIVE,
    "latencyRegression": reasons.REGRESSION_INCONCLUSIVE,
}


def first_miss(gates: list[GateStatus]) -> GateStatus | None:
    """The first gate that was not passed."""
    return next((gate for gate in gates if gate.outcome != "Pass"), None)


def miss_reason(gate: GateStatus) -> str:
    """The condition reason of a gate that was not passed."""
    if gate.outcome == "Inconclusive":
        return _INCONCLUSIVE_REASONS.get(gate.name, _REASONS[gate.name])
    return _REASONS[gate.name]
