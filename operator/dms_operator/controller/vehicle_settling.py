"""What becomes of switches that are under way on vehicles when their deployment is deleted and its models stay.

What has not begun is stopped, what has begun comes to its end, and the revision labels say what runs then. No vehicle
holds up the deletion for longer than the stage may take: where a Job was cut off, or does not end, nobody knows what it
left, and the label goes, so that a deployment of the same name that comes later looks for itself. Either way the link
`current` leads to a revision that was verified and has passed its smoke inference there.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..api.labels import revision_label
from ..api.reasons import EVENT_CLEANED_UP, EVENT_CLEANUP_FAILED
from .events import MESSAGE_LIMIT, Event
from .observation import JobView, Observed
from .rollout.ledger import SWITCHES, Ledger, has_succeeded, is_unanswered
from .settings import Settings
from .text import clip, parse_timestamp
from .vehicle_removal import NAMED, SLACK, VehicleStep


def settling_step(observed: Observed, settings: Settings, now: datetime) -> VehicleStep:
    """The next step; it is done when no switch is under way, or none may be waited for any longer."""
    jobs = observed.vehicle_jobs.values()
    switches = [job for job in jobs if job.stage in SWITCHES]
    pending, begun = ([job for job in switches if (job.state == "Pending") == waits] for waits in (True, False))
    working = [job for job in begun if _may_end(job, now)]
    left = _time_left(observed, settings, now)
    if left <= 0 or not (working or pending):
        unknown = sorted({job.node for job in begun if _is_unknown(job)})
        return VehicleStep(_labels(observed, begun), done=_event(unknown))
    seen, busy = {vehicle.name for vehicle in observed.fleet.vehicles}, {job.node for job in working}
    settled = _labels(observed, [job for job in begun if job.node in seen - busy])
    idle = [job.name for job in jobs if not job.deleting and (job in pending or job.stage not in SWITCHES)]
    graces = [grace for job in working if is_unanswered(job) and (grace := job.answer_grace(now)) > 0]
    return VehicleStep(settled, idle, requeue_after=max(1.0, min([left, *graces])))


def longest_settling(settings: Settings) -> timedelta:
    """How long switches are waited for after the deletion."""
    return timedelta(seconds=max(settings.deadline(stage) for stage in SWITCHES)) + SLACK


def _time_left(observed: Observed, settings: Settings, now: datetime) -> float:
    since = observed.metadata.deletion_timestamp
    ago = now - parse_timestamp(since) if since else timedelta()
    return (longest_settling(settings) - ago).total_seconds()


def _may_end(job: JobView, now: datetime) -> bool:
    """Whether it works, or its answer is on its way; one that is being deleted has been told to stop."""
    return not job.deleting and (job.state == "Running" or (is_unanswered(job) and job.answer_grace(now) > 0))


def _is_unknown(job: JobView) -> bool:
    """Whether nobody knows what a Job left. A stage that failed for good says so after it has gone back."""
    told = job.result is not None or (job.failure is not None and not job.failure.retryable)
    return not has_succeeded(job) and not (job.state in ("Complete", "Failed") and told)


def _labels(observed: Observed, begun: Iterable[JobView]) -> dict[str, dict[str, str | None]]:
    """What the labels of the Jobs' vehicles shall say, where they do not yet."""
    label = revision_label(observed.metadata.namespace, observed.metadata.name)
    present = {vehicle.name: vehicle.revision for vehicle in observed.fleet.vehicles}
    ledger = Ledger.of(begun, "")
    known = {node: _runs(node, ledger, present.get(node, "")) for node in ledger.by_node}
    return {node: {label: runs or None} for node, runs in known.items() if present.get(node) != runs}


def _runs(node: str, ledger: Ledger, label: str) -> str:
    """The revision that runs on a vehicle; empty for none, and where nobody knows."""
    return "" if any(map(_is_unknown, ledger.by_node[node])) else ledger.runs(node, label)


def _event(unknown: list[str]) -> Event:
    if not unknown:
        return Event("Normal", EVENT_CLEANED_UP, "the model stays on its vehicles, and no switch is under way")
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    where = f"{', '.join(unknown[:NAMED])}{more}"
    lost = f"the model stays on its vehicles; nobody knows how the switch on {where} ended: the labels there are gone"
    return Event("Warning", EVENT_CLEANUP_FAILED, clip(lost, MESSAGE_LIMIT))
