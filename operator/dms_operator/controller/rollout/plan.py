"""The rollout's part of a plan: what to start and clear away on vehicles, what to note of them, and status.rollout."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...api import reasons
from ...api.labels import RETRY, revision_label
from ...api.rollout import RolloutSpec
from ...api.rollout_status import Release, RolloutStatus
from ...api.spec import DeploymentSpec
from ..conditions import Outlook
from ..facts import retry_of
from ..observation import Observed
from ..settings import Settings
from ..text import clip, timestamp
from ..vehicle_jobs import vehicle_job_manifest
from . import wakeups
from .choice import Choice, choose, counts, is_lost, shown_failures
from .clearing import cleared
from .course import Course, advanced, begun
from .fleet import ReadingsWanted
from .gates import gate_readings, readings_of
from .goals import Goal, Start, has_failed, recipe, starts
from .ledger import Ledger
from .members import Member, members
from .messages import message
from .pauses import merged
from .rollback import ways_back
from .scene import Scene


@dataclass(frozen=True)
class RolloutPlan:
    """What is to be done on vehicles now, and the rollout's status after it."""

    status: RolloutStatus | None = None
    create: list[dict[str, Any]] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    node_labels: dict[str, dict[str, str | None]] = field(default_factory=dict)
    requeue_after: float | None = None
    problem: Outlook | None = None
    """Why no rollout is possible at all."""

    @property
    def completed(self) -> str | None:
        """The revision that the fleet was last brought to in all its waves."""
        return self.status.completed if self.status else None


def rollout_plan(
    observed: Observed, spec: DeploymentSpec, settings: Settings, release: Release | None, now: datetime
) -> RolloutPlan:
    """Decide what comes next. `release` is what the spec asks for; None while that is not built."""
    before = observed.status.rollout
    if spec.rollout is None or settings.fleet is None:
        pending = [job.name for job in observed.vehicle_jobs.values() if job.state == "Pending" and not job.deleting]
        return RolloutPlan(before if spec.rollout else None, delete=pending, problem=_unequipped(spec))
    ledger = Ledger.of(observed.vehicle_jobs.values(), retry_of(observed))
    scene = _scene(observed, spec, spec.rollout, release, ledger, now)
    labels = _node_labels(observed, ledger)
    if scene is None:
        return RolloutPlan(before, node_labels=labels)
    problem = _undeployable(scene, settings)
    if problem is not None:
        return RolloutPlan(before, node_labels=labels, problem=problem)
    return _planned(scene, observed, settings, labels)


def readings_wanted(observed: Observed, now: datetime) -> list[ReadingsWanted]:
    """What has to be read from the vehicles' metrics before the next plan."""
    spec, status = observed.spec, observed.status.rollout
    if not isinstance(spec, DeploymentSpec) or spec.rollout is None or status is None:
        return []
    if status.state != "Soaking" or status.reached_at is None:
        return []
    return readings_of(spec.rollout, status.revision, datetime.fromisoformat(status.reached_at), now)


def _scene(
    observed: Observed,
    spec: DeploymentSpec,
    rollout: RolloutSpec,
    release: Release | None,
    ledger: Ledger,
    now: datetime,
) -> Scene | None:
    revision, before = observed.status.revision, observed.status.rollout
    known = {each.revision: each for each in revision.releases} if revision else {}
    current = release or (known.get(revision.current or "") if revision else None)
    if current is None:
        return None
    completed = before.completed if before else None
    retry = observed.metadata.annotations.get(RETRY, "")
    return Scene(
        spec=spec,
        rollout=rollout,
        release=current,
        fallback=known.get(completed) if completed and completed != current.revision else None,
        building=release is None,
        members=members(spec, observed.fleet.vehicles, observed.metadata.uid),
        ledger=ledger,
        fleet=observed.fleet,
        annotations=observed.metadata.annotations,
        retry=retry if retry != observed.status.handled_retry else "",
        now=now,
    )


def _unequipped(spec: DeploymentSpec) -> Outlook | None:
    if spec.rollout is None:
        return None
    why = "the operator knows no folder on vehicles: set fleet.volume in its settings"
    return Outlook("Failed", reasons.FLEET_NOT_CONFIGURED, why)


def _undeployable(scene: Scene, settings: Settings) -> Outlook | None:
    """What no vehicle could load, or no pod could bring there."""
    estimates = [each.target for each in scene.release.targets if not each.deployable]
    if estimates:
        why = f"what was made for {', '.join(estimates)} is an estimate, no vehicle can load it"
        return Outlook("Failed", reasons.NOT_DEPLOYABLE, f"{why}: compile it without estimateOnly")
    releases = [scene.release, *([scene.fallback] if scene.fallback else [])]
    lacking = {
        each.toolchain for one in releases for each in one.targets if not settings.images.of("activate", each.toolchain)
    }
    if lacking:
        why = f"no image for vehicles of toolchain {', '.join(sorted(lacking))}: set images.benchmark"
        return Outlook("Failed", "ToolchainUnavailable", why)
    return None


def _node_labels(observed: Observed, ledger: Ledger) -> dict[str, dict[str, str | None]]:
    """What the last answers said and no label says yet."""
    label = revision_label(observed.metadata.namespace, observed.metadata.name)
    runs = {each.name: (ledger.runs(each.name, each.revision), each.revision) for each in observed.fleet.vehicles}
    return {name: {label: told or None} for name, (told, noted) in runs.items() if told != noted}


def _planned(
    scene: Scene, observed: Observed, settings: Settings, labels: dict[str, dict[str, str | None]]
) -> RolloutPlan:
    before = observed.status.rollout
    course = advanced(scene, begun(scene, before))
    goals = list(_goals(scene, course))
    status = _ended(scene, course.status, goals)
    goes = not course.pauses
    policy = scene.rollout.offline_policy
    lost = frozenset(each.name for each in scene.fleet.vehicles if is_lost(each, policy, scene.now))
    limits = (scene.max_unavailable, scene.rollout.max_prefetch)
    begin = list(starts(goals, scene.ledger, *limits, lost, scene.now)) if goes else []
    create = [_manifest(scene, start, observed, settings) for start in begin]
    vehicles = {each.name: each for each in scene.fleet.vehicles}
    delete = cleared(scene.ledger, vehicles, {goal.vehicle.name: goal for goal in goals}, goes, scene.now)
    stuck = sum(has_failed(goal, scene.ledger) for goal in goals)
    after = _told(scene, status, course, before, stuck, started=bool(create))
    return RolloutPlan(after, create, list(delete), labels, wakeups.next_look(scene, after))


def _manifest(scene: Scene, start: Start, observed: Observed, settings: Settings) -> dict[str, Any]:
    deployment = f"{observed.metadata.namespace}/{observed.metadata.name}"
    asked = recipe(start, deployment, settings.images)
    # A rollback's target may be gone from the spec: its Job is then nobody's.
    target = next((each for each in scene.spec.targets if each.name == start.goal.release.target), None)
    return vehicle_job_manifest(asked, target, observed.metadata, scene.spec, settings, scene.ledger.attempt)


def _goals(scene: Scene, course: Course) -> Iterator[Goal]:
    """What vehicles shall run now; a rollback concerns vehicles that the spec does not choose (any more), too."""
    if course.status.state in ("RollingBack", "RolledBack"):
        back = list(ways_back(scene))
        yield from back
        if course.status.state == "RolledBack" and scene.fallback is not None:
            there = {goal.vehicle.name for goal in back}
            late = _choice(scene, scene.fallback.revision).chosen
            yield from _goals_of((each for each in late if each.name not in there), scene.fallback)
        return
    yield from _goals_of(course.choice.chosen, scene.release)


def _choice(scene: Scene, revision: str) -> Choice:
    desired = scene.desired(scene.rollout.waves[-1])
    return choose(scene.members, revision, desired, scene.ledger, scene.rollout.offline_policy, scene.now)


def _goals_of(chosen: Iterable[Member], release: Release) -> Iterator[Goal]:
    targets = {each.target: each for each in release.targets}
    for member in chosen:
        target = targets.get(member.target.name)
        if target is not None:
            yield Goal(member.vehicle, release.revision, target)


def _ended(scene: Scene, status: RolloutStatus, goals: list[Goal]) -> RolloutStatus:
    """A rollback has ended when no vehicle that can be reached is left; those that come back later follow."""
    if status.state != "RollingBack":
        return status
    policy = scene.rollout.offline_policy
    left = [
        goal for goal in goals if not is_lost(goal.vehicle, policy, scene.now) and not has_failed(goal, scene.ledger)
    ]
    if left:
        return status
    return status.model_copy(update={"state": "RolledBack", "finished_at": timestamp(scene.now)})


def _told(
    scene: Scene, status: RolloutStatus, course: Course, before: RolloutStatus | None, stuck: int, *, started: bool
) -> RolloutStatus:
    """The status with its figures and its line."""
    wave = scene.wave(status)
    update = {
        "wave": wave.name,
        "waves": len(scene.rollout.waves),
        "desired": min(scene.desired(wave), len(scene.members)),
        "vehicles": counts(course.choice, scene.ledger),
        "failed_vehicles": shown_failures(course.choice),
        "gates": gate_readings(scene.rollout, scene.fleet) if status.state == "Soaking" else [],
        "pauses": merged(course.pauses, status.pauses, scene.now),
    }
    after = status.model_copy(update=update)
    if before is None or _went_forward(before, after, started):
        after = after.model_copy(update={"progressed_at": timestamp(scene.now)})
    return after.model_copy(update={"message": clip(message(after, stuck), 512)})


def _went_forward(before: RolloutStatus, after: RolloutStatus, started: bool) -> bool:
    place = [
        (each.revision, each.state, each.wave_index, each.vehicles.updated, each.vehicles.failed)
        for each in (before, after)
    ]
    resumed = bool(before.pauses) and not after.pauses
    return started or resumed or place[0] != place[1]
