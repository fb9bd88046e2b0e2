"""status.phase: the earliest stage that is still at work."""

from collections.abc import Sequence

from ..api.reasons import Phase
from ..api.status import StageStatus

_ORDER: tuple[tuple[str, Phase], ...] = (
    ("resolve", "Resolving"),
    ("quantize", "Quantizing"),
    ("convert", "Converting"),
    ("benchmark", "Benchmarking"),
)


def working_phase(stages: Sequence[StageStatus]) -> Phase:
    """Phase while something is still to come; Pending until the first pod runs."""
    open_stages = {stage.stage for stage in stages if stage.state in ("Pending", "Running")}
    if all(stage.state == "Pending" for stage in stages):
        return "Pending"
    return next((phase for stage, phase in _ORDER if stage in open_stages), "Pending")
