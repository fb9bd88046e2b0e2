"""Events: what changed from one status to the next. Derived, so that a restart repeats none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..api import reasons
from ..api.rollout_status import FailedVehicle, RolloutStatus
from ..api.status import Condition, DeploymentStatus, GateStatus, StageStatus, TargetStatus
from .text import clip

MESSAGE_LIMIT = 1024
"""Kubernetes' bound for the message of a core/v1 event."""


@dataclass(frozen=True)
class Event:
    """A Kubernetes event about the deployment; to be posted after the status was written."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    stage: str = ""
    """The kind of stage that it is about, if about one."""


def events(old: DeploymentStatus, new: DeploymentStatus) -> list[Event]:
    """What is worth telling about the step from `old` to `new`."""
    return [
        *_suspension(old, new),
        *_stages(old, new),
        *_gates(old, new),
        *_targets(old, new),
        *_hopeless(old, new),
        *_rollout(old.rollout, new.rollout),
        *_ends(old, new),
    ]


def _normal(reason: str, message: str, stage: str = "") -> Event:
    return Event("Normal", reason, clip(message, MESSAGE_LIMIT), stage)


def _warning(reason: str, message: str, stage: str = "") -> Event:
    return Event("Warning", reason, clip(message, MESSAGE_LIMIT), stage)


def _suspension(old: DeploymentStatus, new: DeploymentStatus) -> Iterator[Event]:
    if new.phase == "Suspended" != old.phase:
        yield _normal(reasons.EVENT_SUSPENDED, "nothing new is started until spec.suspend is false")
    if old.phase == "Suspended" != new.phase:
        yield _normal(reasons.EVENT_RESUMED, "stages are started again")


def _stages(old: DeploymentStatus, new: DeploymentStatus) -> Iterator[Event]:
    before = {stage.recipe: stage for stage in old.stages}
    for stage in new.stages:
        yield from _stage(before.get(stage.recipe), stage)


def _stage(old: StageStatus | None, new: StageStatus) -> Iterator[Event]:
    was = old.state if old else None
    if new.state == was:
        return
    if new.state == "Running":
        yield _normal(reasons.EVENT_STAGE_STARTED, f"{new.name}: job {new.job}", new.stage)
    if new.state == "Succeeded" and new.job:
        yield _normal(reasons.EVENT_STAGE_SUCCEEDED, new.name, new.stage)
    if new.state == "Failed":
        yield _warning(reasons.EVENT_STAGE_FAILED, f"{new.name}: {new.reason}: {new.message}", new.stage)


def _misses(status: DeploymentStatus) -> dict[tuple[str, str, str], GateStatus]:
    return {
        (target.name, candidate.variant, gate.name): gate
        for target in status.targets
        for candidate in target.candidates
        for gate in candidate.gates
        if gate.outcome != "Pass"
    }


def _gates(old: DeploymentStatus, new: DeploymentStatus) -> Iterator[Event]:
    before = _misses(old)
    for (target, variant, gate), found in _misses(new).items():
        if before.get((target, variant, gate)) != found:
            yield _warning(reasons.EVENT_GATE_FAILED, f"{target} {variant}: {found.message}")


def _targets(old: DeploymentStatus, new: DeploymentStatus) -> Iterator[Event]:
    before = {target.name: _choice(target) for target in old.targets}
    for target in new.targets:
        choice = _choice(target)
        if choice and choice != before.get(target.name):
            tried = len(target.candidates)
            place = f", {tried} variants tried" if tried > 1 else ""
            yield _normal(reasons.EVENT_SELECTED, f"{target.name}: {target.variant} for {target.board}{place}")


def _hopeless(old: DeploymentStatus, new: DeploymentStatus) -> Iterator[Event]:
    """Targets for which nothing is tried; what a failed stage or an invalid spec is the cause of is told as that."""
    told = {target.name: target.message for target in old.targets if target.state == "Failed"}
    if any(stage.state == "Failed" for stage in new.stages) or _is_invalid(new):
        return
    for target in new.targets:
        if target.state == "Failed" and not target.candidates and told.get(target.name) != target.message:
            yield _warning(reasons.EVENT_TARGET_FAILED, f"{target.name}: {target.reason}: {target.message}")


def _choice(target: TargetStatus) -> tuple[str, str] | None:
    return (target.variant, target.artifact.digest) if target.variant and target.artifact else None


def _rollout(old: RolloutStatus | None, new: RolloutStatus | None) -> Iterator[Event]:
    if new is None:
        return
    before = old if old and old.revision == new.revision else RolloutStatus()
    if new.wave_index > before.wave_index or (new.state != before.state and new.state in ("Soaking", "Completed")):
        yield _normal(reasons.EVENT_WAVE_REACHED, new.message)
    if new.state == "Updating" and (before.state, before.wave_index) != ("Updating", new.wave_index):
        yield _normal(reasons.EVENT_WAVE_STARTED, new.message)
    known = {pause.reason for pause in before.pauses}
    for pause in new.pauses:
        if pause.reason not in known and pause.reason != "Suspended":
            yield _warning(reasons.EVENT_ROLLOUT_PAUSED, f"{pause.reason}: {pause.message}")
    if known and not new.pauses:
        yield _normal(reasons.EVENT_ROLLOUT_RESUMED, new.message)
    yield from _vehicles(reasons.EVENT_VEHICLE_FAILED, before.failed_vehicles, new.failed_vehicles)
    yield from _vehicles(reasons.EVENT_FETCHED_AGAIN, before.fetched_again, new.fetched_again)
    ends = {
        "Completed": (_normal, reasons.EVENT_ROLLOUT_COMPLETED),
        "RollingBack": (_warning, reasons.EVENT_ROLLING_BACK),
        "RolledBack": (_warning, reasons.EVENT_ROLLED_BACK),
    }
    if new.state != before.state and new.state in ends:
        kind, reason = ends[new.state]
        yield kind(reason, new.message)


def _vehicles(reason: str, before: list[FailedVehicle], after: list[FailedVehicle]) -> Iterator[Event]:
    """Vehicles that were not told of before."""
    told = {each.node for each in before}
    for each in after:
        if each.node not in told:
            yield _warning(reason, f"{each.node}: {each.reason}: {each.message}")


def _ends(old: DeploymentStatus, new: DeploymentStatus) -> Iterator[Event]:
    ready, was = _condition(new, reasons.READY), _condition(old, reasons.READY)
    if ready and ready.status == "True" and not (was and was.status == "True"):
        yield _normal(reasons.EVENT_READY, ready.message)
    stalled, stood = _condition(new, reasons.STALLED), _condition(old, reasons.STALLED)
    if stalled and _is_invalid(new) and not (stood and stood.message == stalled.message):
        yield _warning(reasons.EVENT_INVALID, stalled.message)


def _is_invalid(status: DeploymentStatus) -> bool:
    stalled = _condition(status, reasons.STALLED)
    return stalled is not None and stalled.reason == reasons.INVALID_SPEC


def _condition(status: DeploymentStatus, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)
