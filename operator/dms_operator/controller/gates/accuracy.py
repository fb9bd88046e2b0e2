"""Accuracy: what quantization may cost on the evaluation samples."""

from ...api.stages import VariantFacts
from ...api.status import GateStatus
from ..text import loss

ROUNDING = 1e-9
"""Figures pass through JSON and subtraction; a drop that equals the limit passes."""


def accuracy_gate(variant: VariantFacts, limit: float) -> GateStatus:
    """Hold the variant's drop against the largest accepted one (both absolute, positive is worse)."""
    metric, drop = variant.accuracy.metric, variant.accuracy_drop
    lost, allowed = loss(metric, drop), loss(metric, limit)
    return GateStatus(
        name="accuracy",
        outcome="Pass" if drop <= limit + ROUNDING else "Fail",
        value=lost,
        limit=allowed,
        message=f"lost {lost} of {metric} on {variant.accuracy.samples} samples, {allowed} allowed",
    )
