"""status.stages: each wanted stage, the Job that runs it, and how it went."""

from collections.abc import Mapping
from datetime import datetime

from ..api import reasons
from ..api.stages import Failure, StageResult
from ..api.status import StageState, StageStatus
from .observation import BoardCount, JobView, Observed
from .steps import Step
from .text import clip
from .waiting import waiting

LIMIT = 128
"""Bound of status.stages; successes stand elsewhere in status as well and give way first."""


def stage_statuses(
    steps: Mapping[str, Step], observed: Observed, started: Mapping[str, str], now: datetime
) -> list[StageStatus]:
    """One entry per step; `started` holds names of Jobs that this plan creates, by recipe digest."""
    old = {stage.recipe: stage for stage in observed.status.stages}
    entries = [_entry(step, observed, old.get(step.digest), started, now) for step in steps.values()]
    return bounded(entries)


def bounded(entries: list[StageStatus], limit: int = LIMIT) -> list[StageStatus]:
    """At most `limit` entries, in order: the oldest successes are left out."""
    surplus = len(entries) - limit
    kept: list[StageStatus] = []
    for entry in entries:
        if surplus > 0 and entry.state == "Succeeded":
            surplus -= 1
        else:
            kept.append(entry)
    return kept[:limit]


def _entry(
    step: Step, observed: Observed, old: StageStatus | None, started: Mapping[str, str], now: datetime
) -> StageStatus:
    if step.digest in started:
        return _started(step, started[step.digest], observed.refused)
    job = observed.jobs.get(step.digest)
    if step.fact is None:
        return _unfinished(step, job, observed.boards, now)
    state: StageState = "Succeeded" if isinstance(step.fact, StageResult) else "Failed"
    entry = _new(step, state, job.name if job else old.job if old else "")
    return entry.model_copy(update=_outcome(step.fact) | _times(job, old))


def _started(step: Step, job: str, refused: Mapping[str, str]) -> StageStatus:
    if job not in refused:
        return _new(step, "Pending", job)
    message = f"the cluster refuses its Job, which is asked for again: {refused[job]}"
    update = {"reason": reasons.JOB_REFUSED, "message": clip(message, 2048)}
    return _new(step, "Pending", "").model_copy(update=update)


def _new(step: Step, state: StageState, job: str) -> StageStatus:
    return StageStatus(name=clip(step.name, 100), stage=step.recipe.stage, recipe=step.digest, job=job, state=state)


def _unfinished(step: Step, job: JobView | None, boards: Mapping[str, BoardCount], now: datetime) -> StageStatus:
    if job is None or job.deleting or job.state in ("Complete", "Failed"):
        return _new(step, "Pending", "")
    why = waiting(step, job, boards, now)
    update = {
        "reason": clip(why.reason, 128),
        "message": clip(why.message, 2048),
        "attempts": job.failed_pods,
        "started_at": job.started_at if job.state == "Running" else None,
    }
    state: StageState = "Running" if job.state == "Running" else "Pending"
    return _new(step, state, job.name).model_copy(update=update)


def _outcome(fact: StageResult | Failure) -> dict[str, str]:
    if isinstance(fact, StageResult):
        return {}
    return {"reason": clip(fact.reason, 128), "message": clip(fact.message, 2048)}


def _times(job: JobView | None, old: StageStatus | None) -> dict[str, str | int | None]:
    """Times of the Job; those that were noted earlier once it is gone."""
    if job:
        return {"attempts": job.failed_pods, "started_at": job.started_at, "finished_at": job.finished_at}
    if old is None:
        return {}
    return {"attempts": old.attempts, "started_at": old.started_at, "finished_at": old.finished_at}
