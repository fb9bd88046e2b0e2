"""Gates: each holds one figure against one limit. Only Pass is a pass; Inconclusive never advances anything."""

from ...api import reasons
from ...api.status import GateStatus
from .accuracy import accuracy_gate
from .delegation import delegation_gate
from .latency import latency_gate
from .power import power_gate
from .provenance import counted_latency, provenance_gate
from .target_accuracy import target_accuracy_gate

__all__ = [
    "accuracy_gate",
    "counted_latency",
    "delegation_gate",
    "first_miss",
    "latency_gate",
    "miss_reason",
    "power_gate",
    "provenance_gate",
    "target_accuracy_gate",
]

_REASONS: dict[str, str] = {
    "accuracy": reasons.ACCURACY_GATE_FAILED,
    "accuracyOnTarget": reasons.ACCURACY_GATE_FAILED,
    "delegation": reasons.DELEGATION_GATE_FAILED,
    "provenance": reasons.PROVENANCE_TOO_WEAK,
    "latency": reasons.LATENCY_BUDGET_EXCEEDED,
    "power": reasons.POWER_BUDGET_EXCEEDED,
}
_INCONCLUSIVE_REASONS: dict[str, str] = {
    "latency": reasons.LATENCY_INCONCLUSIVE,
    "power": reasons.POWER_UNAVAILABLE,
}


def first_miss(gates: list[GateStatus]) -> GateStatus | None:
    """The first gate that was not passed."""
    return next((gate for gate in gates if gate.outcome != "Pass"), None)


def miss_reason(gate: GateStatus) -> str:
    """The condition reason of a gate that was not passed."""
    if gate.outcome == "Inconclusive":
        return _INCONCLUSIVE_REASONS.get(gate.name, _REASONS[gate.name])
    return _REASONS[gate.name]
