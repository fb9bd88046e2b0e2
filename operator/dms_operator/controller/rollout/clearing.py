"""Jobs on vehicles that are not needed any more. A Job is kept as long as it is the only one to know something."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from ..observation import JobView
from .fleet import Vehicle
from .goals import Goal
from .ledger import SWITCHES, Ledger, found_damage, has_failed, has_succeeded, is_living, is_unanswered
from .naming import is_of


@dataclass(frozen=True)
class Wanted:
    """What vehicles are to run."""

    goals: Mapping[str, Goal]
    """By vehicle."""
    going: Set[str]
    """Vehicles on which something may start now."""
    failed: Set[str] = field(default_factory=frozenset)
    """Vehicles that count as failed: what tells so is kept, or it would be tried again and again."""
    revision: str = ""
    """The revision that failed there."""


def cleared(ledger: Ledger, vehicles: Mapping[str, Vehicle], wanted: Wanted, now: datetime) -> Iterator[str]:
    """Names of Jobs to delete, in this order."""
    for node, jobs in ledger.by_node.items():
        vehicle = vehicles.get(node)
        found = [job for job in jobs if not job.deleting and _is_done_with(job, ledger, vehicle, wanted, now)]
        # What tells of a success goes last: until then the failure before it is known to be outdated.
        yield from (job.name for job in sorted(found, key=has_succeeded))


def _is_done_with(job: JobView, ledger: Ledger, vehicle: Vehicle | None, wanted: Wanted, now: datetime) -> bool:
    goal = wanted.goals.get(job.node)
    towards = goal is not None and job.revision == goal.revision and (job.stage == "deactivate") == goal.removes
    failed = job.node in wanted.failed and is_of(job.revision, [wanted.revision])
    if is_living(job):
        return job.state == "Pending" and not ((towards or failed) and job.node in wanted.going)
    if vehicle is None:
        return True
    if is_unanswered(job):
        return job.answer_grace(now) == 0
    if failed:
        return ledger.is_stale(job)
    if job.stage not in SWITCHES:
        return not towards or _is_outdated(job, ledger) or ledger.runs(vehicle.name, vehicle.revision) == job.revision
    return _is_noted(vehicle, ledger) or (has_failed(job) and towards and _may_be_tried_again(job, ledger))


def _is_noted(vehicle: Vehicle, ledger: Ledger) -> bool:
    """Whether its label says what the last answer said."""
    return ledger.has_switched(vehicle.name) and ledger.runs(vehicle.name, vehicle.revision) == vehicle.revision


def _is_outdated(prefetch: JobView, ledger: Ledger) -> bool:
    """Whether it has to be done again: it failed in an earlier try, or what it brought was found damaged since."""
    tried = ledger.job(prefetch.node, "activate", prefetch.revision)
    damaged = tried is not None and found_damage(tried) and tried.round >= prefetch.round
    return ledger.is_stale(prefetch) or (tried is not None and damaged and not ledger.has_failed_now(tried))


def _may_be_tried_again(activate: JobView, ledger: Ledger) -> bool:
    """Whether another try was asked for, or what it found damaged has been replaced."""
    fetched = ledger.job(activate.node, "prefetch", activate.revision)
    replaced = fetched is not None and has_succeeded(fetched) and fetched.round > activate.round
    return ledger.is_stale(activate) or (replaced and ledger.is_damage(activate))
