"""Jobs on vehicles that are not needed any more. A Job is kept as long as it is the only one to know something."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from ..observation import JobView
from .fleet import Vehicle
from .goals import Goal
from .ledger import SWITCHES, Ledger, has_failed, has_succeeded, is_living, is_unanswered


def cleared(
    ledger: Ledger, vehicles: Mapping[str, Vehicle], goals: Mapping[str, Goal], going: bool, now: datetime
) -> Iterator[str]:
    """Names of Jobs to delete, in this order. `going`: whether anything may start now."""
    for node, jobs in ledger.by_node.items():
        vehicle, goal = vehicles.get(node), goals.get(node)
        found = [job for job in jobs if not job.deleting and _is_done_with(job, ledger, vehicle, goal, going, now)]
        # What tells of a success goes last: until then the failure before it is known to be outdated.
        yield from (job.name for job in sorted(found, key=has_succeeded))


def _is_done_with(
    job: JobView, ledger: Ledger, vehicle: Vehicle | None, goal: Goal | None, going: bool, now: datetime
) -> bool:
    towards = goal is not None and job.revision == goal.revision and (job.stage == "deactivate") == goal.removes
    if is_living(job):
        return job.state == "Pending" and not (towards and going)
    if vehicle is None:
        return True
    if is_unanswered(job):
        return job.answer_grace(now) == 0
    if job.stage not in SWITCHES:
        return not towards or ledger.is_stale(job) or ledger.runs(vehicle.name, vehicle.revision) == job.revision
    noted = ledger.has_switched(vehicle.name) and ledger.runs(vehicle.name, vehicle.revision) == vehicle.revision
    if has_failed(job):
        return noted or (towards and ledger.is_stale(job))
    return noted
