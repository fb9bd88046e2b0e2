"""Why a stage does not run yet, in the user's words; figures in it grow in steps, for each change is a write."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..api import labels, reasons
from ..api.spec import TargetSpec
from .observation import BoardCount, JobView
from .steps import Step

PODLESS_SECONDS = 30.0
"""A Job controller makes a pod within a second; under heavy load within several."""
UNPLACED_SECONDS = 5.0
"""Pods that find a node, or room on one, sooner than this are not told of: that would be two writes for nothing."""


@dataclass(frozen=True)
class Waiting:
    """A reason and a message; both empty while the wait is only the usual start of a pod."""

    reason: str = ""
    message: str = ""


def waiting(step: Step, job: JobView, boards: Mapping[str, BoardCount], now: datetime) -> Waiting:
    """What the Job of a step waits for."""
    if job.disruption:
        return Waiting(reasons.NODE_LOST, job.disruption)
    if job.state != "Pending" or not job.waiting:
        return _retrying(job) if job.has_pod or job.failed_pods else _without_pod(job, now)
    if step.recipe.stage == "benchmark" and step.target:
        return _for_board(step.target, boards.get(step.target.board, BoardCount()), job, now)
    return _for_cluster(job, now)


def changes_after(job: JobView, now: datetime) -> float:
    """Seconds after which a Job that waits has something new to say though nothing happens; 0 for none."""
    if job.state != "Pending" or job.deleting:
        return 0.0
    if job.place:
        return job.place.changes_after(now)
    if not job.created_at or (job.has_pod and not job.waiting):
        return 0.0
    return max(0.0, (UNPLACED_SECONDS if job.has_pod else PODLESS_SECONDS) - job.age(now))


def _for_cluster(job: JobView, now: datetime) -> Waiting:
    """A pod that the scheduler or the kubelet cannot serve, in their words; told if it lasts.

    It is told at once when our clock is behind the cluster's by more than that time: it cannot measure it.
    """
    is_usual = job.created_at is not None and abs(job.age(now)) < UNPLACED_SECONDS
    return Waiting() if is_usual else Waiting(reasons.WAITING, job.waiting)


def _retrying(job: JobView) -> Waiting:
    if not (job.failed_pods and job.failure):
        return Waiting()
    message = f"attempt {job.failed_pods} failed, trying again: {job.failure.message}"
    return Waiting(job.failure.reason, message)


def _without_pod(job: JobView, now: datetime) -> Waiting:
    """A Job whose pod the cluster does not let in; normally it takes a moment."""
    if job.state != "Pending" or job.age(now) < PODLESS_SECONDS:
        return Waiting()
    why = "a quota, a policy or an unknown PriorityClass may be in its way"
    return Waiting(reasons.WAITING, f"its Job has no pod: {why}; kubectl describe job {job.name} tells")


def _for_board(target: TargetSpec, count: BoardCount, job: JobView, now: datetime) -> Waiting:
    label = f"{labels.BOARD}={target.board}"
    if count.total == 0:
        message = f"no node is labelled {label}: kubectl label node <node> {label}"
        return Waiting(reasons.NO_BOARD, message)
    if count.allocatable == 0 and count.disabled:
        message = f"every {target.board} board is out of service: remove {labels.BOARD_DISABLED} from a node"
        return Waiting(reasons.NO_BOARD, message)
    if count.allocatable == 0 and count.unhealthy:
        return Waiting(reasons.NO_BOARD, f"no {target.board} board is healthy: {'; '.join(count.unhealthy)}")
    if labels.board_resource(target.board) in job.waiting:
        free = f"waiting for a free {target.board} board"
        return Waiting(reasons.BOARD_BUSY, job.place.message(target.board, now) if job.place else free)
    return _for_cluster(job, now)
