"""What a vehicle shall run, and the next stage on its way there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ...api.rollout_status import Release, TargetRelease
from ...api.stages import StageName, VehicleRecipe
from ...api.vehicle import ActivateRecipe, DeactivateRecipe, PrefetchRecipe
from ..settings import Images
from .fleet import Vehicle
from .ledger import Ledger, has_succeeded
from .members import Member
from .naming import names_on_vehicles


@dataclass(frozen=True)
class Goal:
    """One vehicle, and the revision that it shall run, or that shall leave it."""

    vehicle: Vehicle
    revision: str
    """Its name on the vehicle."""
    release: TargetRelease
    removes: bool = False
    """The revision leaves it, and nothing takes its place."""


@dataclass(frozen=True)
class Start:
    """A stage that is to be started on a vehicle."""

    goal: Goal
    stage: StageName
    round: int = 0
    """How often the revision was brought there before."""


@dataclass(frozen=True)
class Slots:
    """How many vehicles may be at work at the same time."""

    switching: int
    prefetching: int
    released: frozenset[str] = frozenset()
    """Vehicles whose Jobs hold none."""


def goals_of(chosen: Iterable[Member], release: Release) -> Iterator[Goal]:
    """The vehicles that are chosen, each with its target's part of the revision."""
    targets, names = {each.target: each for each in release.targets}, names_on_vehicles(release)
    for member in chosen:
        target = targets.get(member.target.name)
        if target is not None:
            yield Goal(member.vehicle, names[target.target], target)


def starts(goals: Iterable[Goal], ledger: Ledger, slots: Slots, now: datetime) -> Iterator[Start]:
    """What may be started now, in the order of the goals."""
    holders = [node for node in ledger.by_node if node not in slots.released]
    switching = sum(map(ledger.is_switching, holders))
    prefetching = sum(map(ledger.is_prefetching, holders))
    for goal in goals:
        if switching >= slots.switching and prefetching >= slots.prefetching:
            return  # of a large fleet nearly all wait: none of them is looked at
        stage = next_stage(goal, ledger, now)
        if stage == "prefetch" and prefetching < slots.prefetching:
            prefetching += 1
            yield Start(goal, stage, _round(goal, ledger))
        elif stage in ("activate", "deactivate") and switching < slots.switching:
            switching += 1
            yield Start(goal, stage, _round(goal, ledger))


def _round(goal: Goal, ledger: Ledger) -> int:
    """A damaged revision is brought in a new round; it is switched to in the round in which it was brought."""
    damage = ledger.damage(goal.vehicle.name, goal.revision)
    fetched = ledger.job(goal.vehicle.name, "prefetch", goal.revision)
    return damage.round + 1 if damage else fetched.round if fetched else 0


def next_stage(goal: Goal, ledger: Ledger, now: datetime) -> StageName | None:
    """The stage that a vehicle needs next; None while it is away, busy, done, or has failed."""
    name = goal.vehicle.name
    if goal.vehicle.away_since is not None or goal.vehicle.held:
        return None
    if not ledger.is_known(name):
        return "deactivate" if goal.removes else "prefetch"
    # One answer at a time: it is noted in the vehicle's label, and its Job gone, before another may come.
    if ledger.is_busy(name, now) or ledger.has_switched(name) or has_failed(goal, ledger):
        return None
    stage: StageName = "deactivate" if goal.removes else "prefetch"
    fetched = None if goal.removes else ledger.job(name, "prefetch", goal.revision)
    if fetched is not None and has_succeeded(fetched):
        stage = "activate"
    return None if ledger.job(name, stage, goal.revision) else stage


def has_failed(goal: Goal, ledger: Ledger) -> bool:
    """Whether the goal cannot be reached in this try."""
    if not ledger.is_known(goal.vehicle.name):
        return False
    stages: tuple[StageName, ...] = ("deactivate",) if goal.removes else ("prefetch", "activate")
    jobs = (ledger.job(goal.vehicle.name, stage, goal.revision) for stage in stages)
    return any(job is not None and ledger.has_failed_now(job) for job in jobs)


def recipe(start: Start, deployment: str, images: Images) -> VehicleRecipe:
    """What the stage is asked; `deployment` is `<namespace>/<name>`. There is an image for it: `without_image`."""
    goal, release = start.goal, start.goal.release
    image = images.of(start.stage, release.toolchain)
    assert image is not None
    asked = {"stage": start.stage, "image": image, "node": goal.vehicle.name, "deployment": deployment}
    asked["revision"] = goal.revision
    if start.stage == "deactivate":
        return DeactivateRecipe.model_validate(asked)
    kind: type[PrefetchRecipe | ActivateRecipe] = PrefetchRecipe if start.stage == "prefetch" else ActivateRecipe
    parts = ("compiled", "benchmark", "board", "toolchain")
    return kind.model_validate(asked | {part: getattr(release, part) for part in parts})
