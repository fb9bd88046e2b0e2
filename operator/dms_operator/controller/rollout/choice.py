"""Which vehicles shall have the revision when the present wave ends, and how each vehicle stands."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...api.rollout_status import FailedVehicle, Release, VehicleCounts
from ..text import clip
from .goals import Goal
from .ledger import Ledger, failure_of
from .members import Member
from .naming import names_on_vehicles
from .scene import Scene

SHOWN_FAILURES = 20
"""Failed vehicles that status names, the bound of its list."""


@dataclass
class Choice:
    """The rollout's vehicles, each in exactly one group."""

    updated: list[Member] = field(default_factory=list)
    chosen: list[Member] = field(default_factory=list)
    """Not updated yet, and wanted by the present wave."""
    later: list[Member] = field(default_factory=list)
    offline: list[Member] = field(default_factory=list)
    held: list[Member] = field(default_factory=list)
    failed: list[FailedVehicle] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """Whether the wave has all its vehicles. One without any is not done: nothing was shown."""
        return bool(self.updated) and not self.chosen


def choose(scene: Scene, release: Release, desired: int) -> Choice:
    """Sort the vehicles into groups: those that run the revision count first, then `desired` is filled up in order.

    Vehicles that the revision is on its way to come before others, so that none is exchanged for one that comes back.
    One that runs what was made for another target of its board does not run the revision; where nobody noted for which
    target it was made, it does.
    """
    choice, ledger, others, names = Choice(), scene.ledger, [], names_on_vehicles(release)

    def name_on(member: Member) -> str:
        return names.get(member.target.name, release.revision)

    for member in scene.members:
        runs = ledger.runs(member.name, member.vehicle.revision) in (name_on(member), release.revision)
        if runs and not ledger.is_switching(member.name):
            choice.updated.append(member)
        else:
            others.append(member)
    for member in sorted(others, key=lambda each: not ledger.is_coming(each.name, name_on(each))):
        has_room = len(choice.updated) + len(choice.chosen) < desired
        is_silent = not ledger.is_known(member.name) and member.vehicle.away_since is None
        failure = None if is_silent else _failure(scene, member, name_on(member), has_room)
        if failure:
            choice.failed.append(failure)
        elif member.vehicle.held:
            choice.held.append(member)
        elif scene.is_lost(member.vehicle):
            choice.offline.append(member)
        else:
            (choice.chosen if has_room else choice.later).append(member)
    return choice


def _failure(scene: Scene, member: Member, revision: str, has_room: bool) -> FailedVehicle | None:
    """Why a vehicle counts as failed, if it does."""
    ledger, rollout, name = scene.ledger, scene.rollout, member.name
    if told := ledger.failure(name, revision):
        return _failed(name, told.reason, told.message)
    if member.vehicle.held:
        return None
    if scene.is_lost(member.vehicle):
        grace = rollout.offline_policy.grace
        # Nobody knows what runs there, and it may be the revision that keeps it from coming back.
        if ledger.is_switching(name) and ledger.is_coming(name, revision):
            return _failed(name, "Offline", f"it went away while it was switched, longer than {grace} ago")
        fails = rollout.offline_policy.action == "Fail" and has_room
        return _failed(name, "Offline", f"away for longer than {grace}") if fails else None
    if scene.is_stuck(member.vehicle) and ledger.is_coming(name, revision):
        why = ledger.waiting(name)
        told_why = f" ({why})" if why else ""
        return _failed(name, "NotStarted", f"its pod has not started for {rollout.progress_deadline}{told_why}")
    return None


def counts(choice: Choice, ledger: Ledger) -> VehicleCounts:
    """The groups in numbers. Who is away for a short time keeps its place, but is told as offline."""
    waiting = [*choice.chosen, *choice.later]
    away = [member for member in waiting if member.vehicle.away_since and not ledger.is_switching(member.name)]
    gone = {member.name for member in away}
    here = [member for member in waiting if member.name not in gone]
    updating = sum(ledger.is_switching(member.name) for member in here)
    prefetching = sum(ledger.is_prefetching(member.name) for member in here)
    settled = len(choice.updated) + len(choice.offline) + len(choice.held) + len(choice.failed)
    return VehicleCounts(
        total=settled + len(waiting),
        updated=len(choice.updated),
        updating=updating,
        prefetching=prefetching,
        pending=len(here) - updating - prefetching,
        failed=len(choice.failed),
        offline=len(choice.offline) + len(away),
        held=len(choice.held),
    )


def shown_failures(choice: Choice) -> list[FailedVehicle]:
    """The failed vehicles that status names."""
    return sorted(choice.failed, key=lambda each: each.node)[:SHOWN_FAILURES]


def fetched_again(goals: Iterable[Goal], ledger: Ledger) -> list[FailedVehicle]:
    """Vehicles to which a revision is brought once more, and why; no more of them than status names."""
    known = (goal for goal in goals if ledger.is_known(goal.vehicle.name))
    jobs = ((goal.vehicle.name, ledger.damage(goal.vehicle.name, goal.revision)) for goal in known)
    found = [_failed(name, failure_of(job).reason, failure_of(job).message) for name, job in jobs if job]
    return sorted(found, key=lambda each: each.node)[:SHOWN_FAILURES]


def _failed(node: str, reason: str, message: str) -> FailedVehicle:
    return FailedVehicle(node=node, reason=clip(reason, 128), message=clip(message, 512))
