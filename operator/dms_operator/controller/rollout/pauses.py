"""Why nothing is started now: all reasons that hold, each with what to do to go on."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from ...api.labels import ABORT, APPROVE, RETRY
from ...api.rollout_status import Pause, PauseReason, RolloutState, RolloutStatus
from ..text import clip, parse_timestamp, timestamp
from .choice import Choice
from .gates import Judgement
from .motion import absent, can_move, has_moved
from .refusals import UNREAD
from .scene import Scene
from .windows import is_open, shown

Found = tuple[PauseReason, str]
FORWARD: tuple[RolloutState, ...] = ("Waiting", "Updating", "Soaking")
BACKWARD: tuple[RolloutState, ...] = ("RollingBack", "RolledBack")
_STARTS: tuple[RolloutState, ...] = ("Waiting", "Updating", "Completed")
"""States in which the window matters: a rollback waits for none."""
_NAMED = 3
"""Vehicles that a message names."""


def found_pauses(scene: Scene, status: RolloutStatus, choice: Choice, judgement: Judgement) -> list[Found]:
    """The reasons, those of people first."""
    return [*_asked_for(scene, status, choice), *_troubles(scene, status, choice, judgement)]


def trouble(scene: Scene, status: RolloutStatus, choice: Choice, judgement: Judgement) -> Found | None:
    """What the failure policy acts upon: too many failures, a failed gate, no progress for too long."""
    policy, failed = scene.rollout.failure_policy, len(choice.failed)
    if failed > scene.max_failures and policy.action != "Continue":
        what = f"{failed} of {len(scene.members)} vehicles failed, {scene.max_failures} may"
        return "FailureBudgetExceeded", f"{what}; {choice.failed[0].node}: {choice.failed[0].message}"
    if judgement.verdict == "Failed":
        return "GateFailed", judgement.message
    if is_overdue(scene, status, choice):
        return "ProgressDeadlineExceeded", f"no vehicle went forward for {scene.rollout.progress_deadline}"
    return None


def is_overdue(scene: Scene, status: RolloutStatus, choice: Choice) -> bool:
    """Whether something should have gone forward by now.

    The clock stands still while anything else pauses. An operator that was away itself finds something to do.
    """
    since = overdue_at(scene, status)
    if since is None or scene.now < since:
        return False
    return not (has_moved(status, choice) or can_move(scene, choice) or absent(scene, choice))


def overdue_at(scene: Scene, status: RolloutStatus) -> datetime | None:
    """When the progress deadline passes; None while nothing has to go forward."""
    waits = any(pause.reason != "ProgressDeadlineExceeded" for pause in status.pauses)
    if status.state != "Updating" or status.progressed_at is None or waits or scene.building or scene.spec.suspend:
        return None
    return parse_timestamp(status.progressed_at) + timedelta(seconds=scene.rollout.progress_deadline.value)


def merged(found: list[Found], before: list[Pause], now: datetime) -> list[Pause]:
    """Pauses with the time since when each holds."""
    since = {pause.reason: pause.since for pause in before}
    return [
        Pause(reason=reason, since=since.get(reason, timestamp(now)), message=clip(message, 512))
        for reason, message in found
    ]


def _asked_for(scene: Scene, status: RolloutStatus, choice: Choice) -> Iterator[Found]:
    if scene.spec.suspend:
        yield "Suspended", "spec.suspend is true: nothing is started until it is false"
    if scene.building and status.state in FORWARD:
        yield "Rebuilding", f"{scene.revision} is not what the spec asks for any more: the new revision is being built"
    wave = scene.wave(status)
    if status.state == "Waiting" and not scene.is_approved(wave):
        ways = f"kubectl dms rollout approve {scene.name}, or annotation {APPROVE}={scene.revision}/{wave.name}"
        yield "ApprovalRequired", f"wave {wave.name} waits for a person: {ways}"
    if status.state == "Waiting" and scene.rollout.gates and not scene.reads_metrics:
        yield "GateInconclusive", UNREAD
    window = scene.rollout.window
    if window and choice.chosen and status.state in _STARTS and not is_open(window, scene.now):
        yield "OutsideWindow", f"updates start at {shown(window)}"
    if status.state in ("Waiting", "Updating") and not choice.chosen and not choice.updated:
        yield "NoVehicle", _nobody(scene, choice)
    elif status.state == "Updating" and (away := absent(scene, choice)):
        more = f" and {len(away) - _NAMED} more" if len(away) > _NAMED else ""
        yield "NoVehicle", f"waits for vehicles that are away: {', '.join(away[:_NAMED])}{more}"


def _nobody(scene: Scene, choice: Choice) -> str:
    if not scene.members:
        boards = ", ".join(dict.fromkeys(target.board for target in scene.spec.targets))
        return f"no node is a vehicle of this deployment: label nodes dms.edge/vehicle=<board> ({boards})"
    groups = {"offline": len(choice.offline), "held": len(choice.held), "failed": len(choice.failed)}
    return f"no vehicle can be updated: {', '.join(f'{number} {name}' for name, number in groups.items() if number)}"


def _troubles(scene: Scene, status: RolloutStatus, choice: Choice, judgement: Judgement) -> Iterator[Found]:
    if status.state not in FORWARD:
        return
    found = trouble(scene, status, choice, judgement)
    if found:
        reason, message = found
        yield reason, f"{message}; {_way_out(scene)}"
    elif judgement.verdict == "Inconclusive":
        yield "GateInconclusive", f"{judgement.message}: no data is no pass, it goes on when there is enough"


def _way_out(scene: Scene) -> str:
    retry = f"kubectl dms rollout retry {scene.name}, or annotation {RETRY} with a new value"
    abort = f"kubectl dms rollout abort {scene.name}, or annotation {ABORT}={scene.revision}"
    return f"to try again: {retry}; to take it back: {abort}"
