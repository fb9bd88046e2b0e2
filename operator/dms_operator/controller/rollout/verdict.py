"""What a rollout means for the deployment as a whole: its outlook, its condition, what becomes stable."""

from ...api import reasons
from ...api.rollout_status import PauseReason, RolloutStatus
from ..conditions import Finding, Outlook

NEEDS_A_PERSON: tuple[PauseReason, ...] = ("FailureBudgetExceeded", "GateFailed", "ProgressDeadlineExceeded")
"""Pauses that do not end by themselves and that nobody asked for."""


def outlook_with(view: Outlook, status: RolloutStatus | None, problem: Outlook | None) -> Outlook:
    """The deployment's outlook: what is built is ready only when its rollout is completed."""
    if view.kind != "Ready":
        return view
    if problem is not None:
        return problem
    if status is None or status.state == "Completed":
        return view if status is None else Outlook("Ready", reasons.SUCCEEDED, f"{view.message}; {status.message}")
    if status.state == "RolledBack":
        return Outlook("Failed", reasons.ROLLED_BACK, status.message)
    return _under_way(status)


def _under_way(status: RolloutStatus) -> Outlook:
    paused = [pause.reason for pause in status.pauses]
    if "Suspended" in paused:
        return Outlook("Suspended", reasons.SUSPENDED, status.message)
    stuck = next((reason for reason in paused if reason in NEEDS_A_PERSON), None)
    if stuck:
        return Outlook("Failed", stuck, status.message)
    return Outlook("Working", paused[0] if paused else status.state, status.message)


def rolled_out(status: RolloutStatus | None, problem: Outlook | None) -> Finding:
    """The condition RolledOut: Unknown until the rollout is completed, or is not going to be."""
    if problem is not None:
        return Finding(reasons.ROLLED_OUT, "False", problem.reason, problem.message)
    if status is None:
        return Finding(reasons.ROLLED_OUT, "Unknown", reasons.PROGRESSING)
    if status.state == "Completed":
        return Finding(reasons.ROLLED_OUT, "True", reasons.COMPLETED, status.message)
    view = outlook_with(Outlook("Ready", "", ""), status, None)
    return Finding(reasons.ROLLED_OUT, "False" if view.kind == "Failed" else "Unknown", view.reason, view.message)
