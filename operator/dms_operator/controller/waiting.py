"""Why a stage does not run yet, in the user's words and without figures that change while nothing happens."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..api import labels, reasons
from ..api.spec import TargetSpec
from .observation import BoardCount, JobView
from .steps import Step


@dataclass(frozen=True)
class Waiting:
    """A reason and a message; both empty while the wait is only the usual start of a pod."""

    reason: str = ""
    message: str = ""


def waiting(step: Step, job: JobView, boards: Mapping[str, BoardCount]) -> Waiting:
    """What the Job of a step waits for."""
    if job.state != "Pending" or not job.waiting:
        return _retrying(job)
    if step.recipe.stage == "benchmark" and step.target:
        return _for_board(step.target, boards.get(step.target.board, BoardCount()), job)
    return Waiting(reasons.WAITING, job.waiting)


def _retrying(job: JobView) -> Waiting:
    if not (job.failed_pods and job.failure):
        return Waiting()
    message = f"attempt {job.failed_pods} failed, trying again: {job.failure.message}"
    return Waiting(job.failure.reason, message)


def _for_board(target: TargetSpec, count: BoardCount, job: JobView) -> Waiting:
    label = f"{labels.BOARD}={target.board}"
    if count.total == 0:
        message = f"no node is labelled {label}: kubectl label node <node> {label}"
        return Waiting(reasons.NO_BOARD, message)
    if count.allocatable == 0 and count.disabled:
        message = f"every {target.board} board is out of service: remove {labels.BOARD_DISABLED} from a node"
        return Waiting(reasons.NO_BOARD, message)
    if labels.board_resource(target.board) in job.waiting:
        return Waiting(reasons.BOARD_BUSY, f"waiting for a free {target.board} board")
    return Waiting(reasons.WAITING, job.waiting)
