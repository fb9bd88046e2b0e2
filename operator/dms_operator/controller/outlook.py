"""How the deployment as a whole stands: ready, at work, failed or suspended, in one line."""

from ..api import reasons
from ..api.status import StageStatus, TargetStatus
from .conditions import Outlook
from .survey import Survey

SHOWN_STAGES = 3
"""Stages at work that a message names; the others are counted."""


def outlook(survey: Survey, stages: list[StageStatus], targets: list[TargetStatus], suspended: bool) -> Outlook:
    """Put the targets together: ready only if all are, failed only when none is at work any more."""
    count = f"{sum(target.state == 'Ready' for target in targets)}/{len(targets)} targets ready"
    failed = [target for target in targets if target.state == "Failed"]
    if any(target.working for target in survey.targets):
        return _suspended(stages) if suspended else _working(stages, failed, count)
    if failed:
        return _failed(targets, failed, count)
    return Outlook("Ready", reasons.SUCCEEDED, count)


def _suspended(stages: list[StageStatus]) -> Outlook:
    running = sum(stage.state == "Running" for stage in stages)
    still = f"; running stages ({running}) end by themselves" if running else ""
    message = f"suspended: nothing new is started until spec.suspend is false{still}"
    return Outlook("Suspended", reasons.SUSPENDED, message)


def _working(stages: list[StageStatus], failed: list[TargetStatus], count: str) -> Outlook:
    open_stages = [stage for stage in stages if stage.state in ("Pending", "Running")]
    held = next((stage for stage in open_stages if stage.message), None)
    parts = [f"{held.name}: {held.message}"] if held else [_names(open_stages)]
    parts += [f"{target.name} failed: {target.message}" for target in failed]
    parts += [count] if len(parts) > 1 or not count.startswith("0/") else []
    return Outlook("Working", held.reason if held else reasons.PROGRESSING, "; ".join(filter(None, parts)))


def _names(stages: list[StageStatus]) -> str:
    names = [stage.name for stage in stages]
    more = len(names) - SHOWN_STAGES
    return ", ".join(names[:SHOWN_STAGES]) + (f" and {more} more" if more > 0 else "")


def _failed(targets: list[TargetStatus], failed: list[TargetStatus], count: str) -> Outlook:
    """One cause that all targets share is told once; one target needs no count."""
    causes = list(dict.fromkeys((target.reason, target.message) for target in failed))
    if len(causes) == 1 and len(failed) == len(targets):
        return Outlook("Failed", *causes[0])
    told = "; ".join(f"{target.name}: {target.message}" for target in failed)
    some_ready = len(failed) < len(targets)
    return Outlook("Failed", reasons.PARTIALLY_READY if some_ready else reasons.FAILED, f"{count}; {told}")
