"""Which vehicles shall have the revision when the present wave ends, and how each vehicle stands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ...api.rollout import OfflinePolicy
from ...api.rollout_status import FailedVehicle, VehicleCounts
from ..text import clip
from .fleet import Vehicle
from .ledger import Ledger
from .members import Member

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


def choose(
    members: Iterable[Member], revision: str, desired: int, ledger: Ledger, offline: OfflinePolicy, now: datetime
) -> Choice:
    """Sort the vehicles into groups: those that run the revision count first, then `desired` is filled up in order."""
    choice, others = Choice(), []
    for member in members:
        runs = ledger.runs(member.name, member.vehicle.revision) == revision
        if runs and not ledger.is_switching(member.name):
            choice.updated.append(member)
        else:
            others.append(member)
    for member in others:
        has_room = len(choice.updated) + len(choice.chosen) < desired
        failure = ledger.failure(member.name, revision)
        if failure:
            choice.failed.append(_failed(member, failure.reason, failure.message))
        elif member.vehicle.held:
            choice.held.append(member)
        elif not is_lost(member.vehicle, offline, now):
            (choice.chosen if has_room else choice.later).append(member)
        elif offline.action == "Fail" and has_room:
            choice.failed.append(_failed(member, "Offline", f"away for longer than {offline.grace}"))
        else:
            choice.offline.append(member)
    return choice


def is_lost(vehicle: Vehicle, offline: OfflinePolicy, now: datetime) -> bool:
    """Whether a vehicle has been away for longer than the grace."""
    away = vehicle.away_since
    return away is not None and (now - away).total_seconds() >= offline.grace.value


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


def _failed(member: Member, reason: str, message: str) -> FailedVehicle:
    return FailedVehicle(node=member.name, reason=clip(reason, 128), message=clip(message, 512))
