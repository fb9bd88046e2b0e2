"""Which spans end between two statuses of a deployment. Pure: all of a span stands in the status."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..api.status import DeploymentStatus, StageStatus
from ..api.tracing import root_span_id, stage_span_id, trace_id
from .caches import ObjectName

_OVER = ("Ready", "Failed")


@dataclass(frozen=True)
class Span:
    """A span that ended; times in seconds since 1970."""

    title: str
    trace: int
    id: int
    parent: int | None
    start: float
    end: float
    attributes: Mapping[str, str | int]
    error: str | None = None


def ended(
    name: ObjectName, uid: str, before: DeploymentStatus, after: DeploymentStatus, now: datetime
) -> Iterator[Span]:
    """A span for each stage that ended, and one for the generation when it did."""
    generation = after.observed_generation
    if generation is None:
        return
    known = {stage.recipe: stage.state for stage in before.stages}
    for stage in after.stages:
        if stage.job and stage.state in ("Succeeded", "Failed") and known.get(stage.recipe) != stage.state:
            yield _stage(name, uid, generation, stage, now)
    was_over = before.phase in _OVER and before.observed_generation == generation
    if after.phase in _OVER and not was_over:
        yield _whole(name, uid, generation, after, now)


def _stage(name: ObjectName, uid: str, generation: int, stage: StageStatus, now: datetime) -> Span:
    start = _seconds(stage.started_at, now)
    return Span(
        stage.name,
        trace_id(uid, generation),
        stage_span_id(uid, generation, stage.recipe),
        root_span_id(uid, generation),
        start,
        max(start, _seconds(stage.finished_at, now)),
        {
            "dms.deployment": "/".join(name),
            "dms.stage": stage.stage,
            "dms.recipe": stage.recipe,
            "k8s.job.name": stage.job,
            "dms.failed_pods": stage.attempts,
        },
        f"{stage.reason}: {stage.message}" if stage.state == "Failed" else None,
    )


def _whole(name: ObjectName, uid: str, generation: int, status: DeploymentStatus, now: datetime) -> Span:
    starts = [_seconds(stage.started_at, now) for stage in status.stages if stage.job and stage.started_at]
    start = min(starts, default=now.timestamp())
    revision = status.revision.current if status.revision else None
    return Span(
        "/".join(name),
        trace_id(uid, generation),
        root_span_id(uid, generation),
        None,
        start,
        max(start, now.timestamp()),
        {
            "dms.deployment": "/".join(name),
            "dms.generation": generation,
            "dms.phase": status.phase or "",
            "dms.revision": revision or "",
        },
        (status.summary and status.summary.message) or "failed" if status.phase == "Failed" else None,
    )


def _seconds(text: str | None, now: datetime) -> float:
    return (datetime.fromisoformat(text) if text else now).timestamp()
