"""What people may ask of a rollout: decisions upon a deployment as it is, refused where they do not fit it. Pure.

Fields and annotations are those of docs/rollout.md.
"""

from datetime import UTC, datetime

from dms_operator.api.errors import Retryable, Terminal
from dms_operator.api.labels import ABORT, APPROVE, RETRY
from dms_operator.api.rollout_status import RolloutStatus
from dms_operator.controller.rollout.pauses import BACKWARD, FORWARD
from dms_operator.controller.rollout.verdict import NEEDS_A_PERSON

from ..objects import Deployment
from ..writes import Request


class NoRollout(Terminal):
    """The deployment is not rolled out."""

    reason = "NoRollout"


class NotObserved(Retryable):
    """The operator has not looked at the present spec yet."""

    reason = "NotObserved"


class NothingToDo(Terminal):
    """What is asked for does not fit where the rollout stands."""

    reason = "NothingToDo"


def approval(deployment: Deployment, wave: str = "", revision: str = "") -> Request:
    """Let the wave start that waits for a person. `wave` and `revision`: only if it is that one."""
    status = rollout_of(deployment)
    _is_meant(deployment, status, revision)
    if not deployment.is_current:
        raise NotObserved(f"the operator has not looked at the present spec of {deployment.name} yet", hint="Try again")
    if not any(pause.reason == "ApprovalRequired" for pause in status.pauses):
        raise NothingToDo(f"no wave of {deployment.name} waits for approval: {where(status)}")
    if wave not in ("", status.wave):
        raise NothingToDo(f"wave {wave} of {deployment.name} does not wait for approval: wave {status.wave} does")
    others = [pause.message for pause in status.pauses if pause.reason != "ApprovalRequired"]
    return Request(
        f"wave {status.wave} of revision {status.revision} may start",
        {APPROVE: f"{status.revision}/{status.wave}"},
        remark=f"it still waits: {'; '.join(others)}" if others else "",
    )


def abort(deployment: Deployment, revision: str = "") -> Request:
    """Take the revision back from every vehicle. `revision`: only if it is that one."""
    status = rollout_of(deployment)
    _is_meant(deployment, status, revision)
    if status.completed == status.revision:
        raise NothingToDo(
            f"{status.revision} was completed on all waves, which is not taken back",
            hint="Change the spec (in Git) to what shall run instead",
        )
    if status.state not in FORWARD:
        raise NothingToDo(f"nothing is left to abort: {where(status)}")
    suspended = any(pause.reason == "Suspended" for pause in status.pauses)
    return Request(
        f"revision {status.revision} is taken back: {_way_back(status)}",
        {ABORT: status.revision},
        remark="it begins when the deployment is resumed" if suspended else "",
    )


def retry(deployment: Deployment, now: datetime, *, rollback: bool = False) -> Request:
    """Try once more what failed; or roll a revision out again that was taken back.

    `rollback` goes on with taking revisions back instead, from vehicles where that failed.
    """
    status = deployment.status.rollout
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    if rollback:
        return _way_back_again(deployment, moment)
    if status is not None and status.state in BACKWARD:
        return Request(
            f"revision {status.revision} is rolled out again, from its first wave",
            {RETRY: f"{status.revision}-{moment}", **_said_before(deployment, status.revision)},
        )
    return Request(_failures(deployment, status), {RETRY: moment})


def _way_back_again(deployment: Deployment, moment: str) -> Request:
    """Also beside the waves of a later revision: a refused one is taken from every vehicle that still has it."""
    status = rollout_of(deployment)
    if not status.refused:
        raise NothingToDo(f"nothing of {deployment.name} was taken back: {where(status)}")
    refused = ", ".join(status.refused)
    return Request(
        f"vehicles from which {refused} could not be taken back are tried again", {RETRY: f"rollback-{moment}"}
    )


def suspension(deployment: Deployment, *, suspend: bool) -> Request:
    """Start nothing more, or go on; also before the first wave."""
    _asked_for(deployment)
    if deployment.spec.suspend == suspend:
        raise NothingToDo(f"{deployment.name} is {'suspended already' if suspend else 'not suspended'}")
    return Request(
        "starts nothing more; what runs comes to its end" if suspend else "goes on",
        spec={"suspend": suspend},
        remark="spec.suspend belongs to Git where the deployment is applied from there: change it there, too",
    )


def rollout_of(deployment: Deployment) -> RolloutStatus:
    """The rollout's status. Raises NoRollout while there is none."""
    _asked_for(deployment)
    status = deployment.status.rollout
    if status is None:
        why = deployment.status.summary.message if deployment.status.summary else ""
        raise NoRollout(f"the rollout of {deployment.name} has not begun: {_phase(deployment)}{why and f' ({why})'}")
    return status


def _asked_for(deployment: Deployment) -> None:
    if deployment.spec.rollout is None:
        raise NoRollout(f"{deployment.name} has no spec.rollout: its artifacts stay in the store")


def where(status: RolloutStatus) -> str:
    """Where a rollout stands, in half a line."""
    wave = f"wave {status.wave} ({status.wave_index + 1}/{status.waves})"
    return {
        "Waiting": f"{wave} waits to begin",
        "Updating": f"{wave} is being updated",
        "Soaking": f"{wave} soaks",
        "Completed": f"all waves have {status.revision}",
        "RollingBack": f"{status.revision} is being taken back",
        "RolledBack": f"{status.revision} was taken back",
    }[status.state]


def _is_meant(deployment: Deployment, status: RolloutStatus, revision: str) -> None:
    if revision not in ("", status.revision):
        raise NothingToDo(f"{deployment.name} rolls out revision {status.revision}, not {revision}")


def _way_back(status: RolloutStatus) -> str:
    if status.completed:
        return f"its vehicles get {status.completed} again"
    return "its vehicles are left without a model, for none was completed before"


def _said_before(deployment: Deployment, revision: str) -> dict[str, str | None]:
    """Annotations to take off: an abort would take it back at once, and an approval was given for the try before."""
    said = {name: deployment.metadata.annotations.get(name, "") for name in (ABORT, APPROVE)}
    return {name: None for name, value in said.items() if value.split("/")[0] == revision}


def _failures(deployment: Deployment, status: RolloutStatus | None) -> str:
    """What there is to try again, said as a promise. Raises NothingToDo when nothing failed."""
    paused = [pause.reason for pause in status.pauses if pause.reason in NEEDS_A_PERSON] if status else []
    if status is not None and status.vehicles.failed:
        return f"{status.vehicles.failed} failed vehicles get revision {status.revision} in another try"
    if status is not None and paused:
        return f"wave {status.wave} of revision {status.revision} goes on after {', '.join(paused)}"
    if deployment.status.phase == "Failed":
        return "failed stages run once more"
    raise NothingToDo(f"nothing of {deployment.name} failed: {where(rollout_of(deployment))}")


def _phase(deployment: Deployment) -> str:
    return f"phase {deployment.status.phase or 'Pending'}"
