"""The rollout's part of a plan: what to start and clear away on vehicles, what to note of them, and status.rollout."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...api.labels import RETRY, revision_label
from ...api.rollout import RolloutSpec
from ...api.rollout_status import GateReadings, Release, RolloutStatus
from ...api.spec import DeploymentSpec
from ..conditions import Outlook
from ..facts import retry_of
from ..observation import Observed
from ..settings import Settings
from ..text import clip, timestamp
from ..vehicle_jobs import vehicle_job_manifest
from . import wakeups
from .choice import choose, counts, fetched_again, shown_failures
from .clearing import Wanted, cleared
from .course import Course, advanced, begun, can_go_back, remembered, witnesses
from .fleet import ReadingsWanted
from .gates import gate_readings, readings_of
from .goals import Goal, Start, goals_of, has_failed, recipe, starts
from .ledger import Ledger
from .members import members
from .messages import message
from .pauses import BACKWARD, merged
from .refusals import reads_metrics, undeployable, unequipped, unfit, unread
from .rollback import ways_back
from .scene import Scene
from .windows import is_open


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
        kept = before if spec.rollout else remembered(before)
        return RolloutPlan(kept, delete=pending, problem=unequipped(spec))
    rounds = spec.rollout.failure_policy.per_node_retries
    ledger = Ledger.of(observed.vehicle_jobs.values(), retry_of(observed), rounds)
    scene = _scene(observed, spec, spec.rollout, release, ledger, now, reads_metrics(settings))
    labels = _node_labels(observed, ledger)
    problem = unfit(spec)
    if scene is None:
        return RolloutPlan(before, node_labels=labels, problem=problem or unread(spec, settings))
    problem = problem or undeployable(scene, settings)
    if problem is not None:
        return _refused(scene, observed, settings, labels, problem)
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
    metrics: bool,
) -> Scene | None:
    revision, before = observed.status.revision, observed.status.rollout
    known = {each.revision: each for each in revision.releases} if revision else {}
    current = release or (known.get(revision.current or "") if revision else None)
    if current is None:
        return None
    completed = before.completed if before else None
    retry = observed.metadata.annotations.get(RETRY, "")
    return Scene(
        name=observed.metadata.name,
        spec=spec,
        rollout=rollout,
        release=current,
        completed={**known, current.revision: current}.get(completed or ""),
        building=release is None,
        members=members(spec, observed.fleet.vehicles, observed.metadata.uid),
        ledger=ledger,
        fleet=observed.fleet,
        annotations=observed.metadata.annotations,
        retry=retry if retry != observed.status.handled_retry else "",
        now=now,
        reads_metrics=metrics,
    )


def _node_labels(observed: Observed, ledger: Ledger) -> dict[str, dict[str, str | None]]:
    """What the last answers said and no label says yet. A node that is no vehicle now may be one again."""
    label = revision_label(observed.metadata.namespace, observed.metadata.name)
    vehicles = {each.name: each.revision for each in observed.fleet.vehicles}
    told = {node: ledger.runs(node, vehicles.get(node, "")) for node in ledger.by_node if ledger.has_answer(node)}
    return {node: {label: runs or None} for node, runs in told.items() if vehicles.get(node) != runs}


def _refused(
    scene: Scene, observed: Observed, settings: Settings, labels: dict[str, dict[str, str | None]], problem: Outlook
) -> RolloutPlan:
    """Nothing goes to any vehicle, but what was taken back before still leaves those that have it."""
    before = observed.status.rollout
    found = ways_back(scene, before.refused) if before and not scene.spec.suspend else ()
    back = [goal for goal in found if settings.images.of("activate", goal.release.toolchain)]
    create = [
        _manifest(scene, start, observed, settings) for start in starts(back, scene.ledger, scene.slots, scene.now)
    ]
    by_node = {goal.vehicle.name: goal for goal in back}
    delete = list(cleared(scene.ledger, scene.vehicles, Wanted(by_node, by_node.keys()), scene.now))
    return RolloutPlan(before, create, delete, labels, problem=problem)


def _planned(
    scene: Scene, observed: Observed, settings: Settings, labels: dict[str, dict[str, str | None]]
) -> RolloutPlan:
    before = observed.status.rollout
    course = advanced(scene, begun(scene, before))
    back, forward = _back(scene, course), _forward(scene, course)
    goals, status = [*back, *forward], _ended(scene, course.status, back)
    going = [*(back if not scene.spec.suspend else []), *(forward if _goes(course) else [])]
    begin = list(starts(going, scene.ledger, scene.slots, scene.now))
    create = [_manifest(scene, start, observed, settings) for start in begin]
    delete = list(cleared(scene.ledger, scene.vehicles, _wanted(scene, course, goals, going), scene.now))
    after = _told(scene, status, course, goals, before, started=bool(create))
    return RolloutPlan(after, create, delete, labels, wakeups.next_look(scene, after))


def _goes(course: Course) -> bool:
    """Whether anything may start. Where vehicles are waited for there is nothing to start, until there is."""
    return all(reason == "NoVehicle" for reason, _ in course.pauses)


def _wanted(scene: Scene, course: Course, goals: list[Goal], going: list[Goal]) -> Wanted:
    by_node = {goal.vehicle.name: goal for goal in goals}
    failed = {each.node for each in course.choice.failed} if course.status.state not in BACKWARD else set()
    may_start = {goal.vehicle.name for goal in going} | (failed if not scene.spec.suspend else set())
    return Wanted(by_node, may_start, failed - by_node.keys(), scene.revision)


def _manifest(scene: Scene, start: Start, observed: Observed, settings: Settings) -> dict[str, Any]:
    deployment = f"{observed.metadata.namespace}/{observed.metadata.name}"
    asked = recipe(start, deployment, settings.images)
    # A rollback's target may be gone from the spec: its Job is then nobody's.
    target = next((each for each in scene.spec.targets if each.name == start.goal.release.target), None)
    attempt = scene.ledger.attempt
    return vehicle_job_manifest(asked, target, observed.metadata, scene.spec, settings, attempt, start.round)


def _back(scene: Scene, course: Course) -> list[Goal]:
    """Vehicles from which a refused revision is taken, but those that get the present one."""
    chosen = {member.name for member in course.choice.chosen} if course.status.state not in BACKWARD else set()
    return [goal for goal in ways_back(scene, course.status.refused) if goal.vehicle.name not in chosen]


def _forward(scene: Scene, course: Course) -> list[Goal]:
    """Vehicles that get the present revision; after a rollback those that lack what the others went back to."""
    if course.status.state not in BACKWARD:
        return list(goals_of(course.choice.chosen, scene.release))
    late = course.status.state == "RolledBack" and is_open(scene.rollout.window, scene.now)
    if not late or scene.fallback is None:
        return []
    back = {goal.vehicle.name for goal in ways_back(scene, course.status.refused)}
    found = choose(scene, scene.fallback, scene.desired(scene.rollout.waves[-1])).chosen
    return list(goals_of((each for each in found if each.name not in back), scene.fallback))


def _ended(scene: Scene, status: RolloutStatus, back: list[Goal]) -> RolloutStatus:
    """A rollback has ended when no vehicle that can be reached is left; those that come back later follow."""
    if status.state != "RollingBack" or not all(_is_beyond_reach(scene, goal) for goal in back):
        return status
    return status.model_copy(update={"state": "RolledBack", "finished_at": timestamp(scene.now)})


def _is_beyond_reach(scene: Scene, goal: Goal) -> bool:
    return scene.is_lost(goal.vehicle) or _is_left(scene, goal)


def _is_left(scene: Scene, goal: Goal) -> bool:
    """Whether a vehicle that is here cannot be brought back in this try."""
    return has_failed(goal, scene.ledger) or scene.is_stuck(goal.vehicle)


def _told(
    scene: Scene,
    status: RolloutStatus,
    course: Course,
    goals: list[Goal],
    before: RolloutStatus | None,
    *,
    started: bool,
) -> RolloutStatus:
    """The status with its figures and its line."""
    wave = scene.wave(status)
    update = {
        "wave": wave.name,
        "waves": len(scene.rollout.waves),
        "desired": min(scene.desired(wave), len(scene.members)),
        "vehicles": counts(course.choice, scene.ledger),
        "failed_vehicles": shown_failures(course.choice),
        "gates": _gates(scene, status, course),
        "fetched_again": fetched_again(goals, scene.ledger),
        "pauses": merged(course.pauses, status.pauses, scene.now),
    }
    after = status.model_copy(update=update)
    if before is None or _went_forward(before, after, started):
        after = after.model_copy(update={"progressed_at": timestamp(scene.now)})
    left = sum(_is_left(scene, goal) for goal in goals if scene.ledger.is_known(goal.vehicle.name))
    in_vain = scene.is_aborted and not can_go_back(scene, after)
    return after.model_copy(update={"message": clip(message(after, left, aborts_in_vain=in_vain), 512)})


def _gates(scene: Scene, status: RolloutStatus, course: Course) -> list[GateReadings]:
    if status.state != "Soaking":
        return []
    return gate_readings(scene.rollout, scene.fleet, witnesses(scene, status, course.choice))


def _went_forward(before: RolloutStatus, after: RolloutStatus, started: bool) -> bool:
    place = [
        (each.revision, each.state, each.wave_index, each.vehicles.updated, each.vehicles.failed)
        for each in (before, after)
    ]
    resumed = bool(before.pauses) and not after.pauses
    return started or resumed or place[0] != place[1]
