"""Accuracy: what quantization may cost, proven on the evaluation samples."""

from ...api.stages import VariantFacts
from ...api.status import GateStatus
from ..text import loss
from .drop import Doubt, Drop


def accuracy_gate(variant: VariantFacts, limit: float) -> GateStatus:
    """Hold the confidence bound of the variant's drop against the largest accepted drop."""
    drop = _drop(variant, limit)
    lost, allowed = loss(drop.metric, drop.value), loss(drop.metric, limit)
    if variant.precision == "fp32":
        return GateStatus(name="accuracy", outcome="Pass", value=lost, limit=allowed, message="is the reference itself")
    message = f"lost {lost} of {drop.metric} on {drop.samples} samples{drop.bound}, {allowed} allowed"
    if drop.outcome == "Inconclusive":
        message += f": {drop.advice}"
    return GateStatus(name="accuracy", outcome=drop.outcome, value=lost, limit=allowed, message=message)


def accuracy_doubt(variant: VariantFacts, limit: float) -> Doubt | None:
    """What samples are lacking for."""
    return None if variant.precision == "fp32" else _drop(variant, limit).doubt


def _drop(variant: VariantFacts, limit: float) -> Drop:
    return Drop.of(variant.accuracy, variant.accuracy_drop, variant.drop_interval, limit)
