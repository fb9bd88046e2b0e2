"""Stages under way as Prometheus samples, so that one that is stuck can be seen. Pure."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from ..api.status import DeploymentStatus, StageStatus
from .caches import ObjectName
from .samples import OBJECT_LABELS, Family, Sample

ACTIVE = Family(
    "dms_stage_active", "Stages that wait for a pod (Pending) or run (Running)", (*OBJECT_LABELS, "stage", "state")
)
STARTED = Family(
    "dms_stage_started_timestamp_seconds",
    "When the longest running stage of its kind was started",
    (*OBJECT_LABELS, "stage"),
)

STAGE_FAMILIES = (ACTIVE, STARTED)


def stage_samples(name: ObjectName, status: DeploymentStatus) -> Iterator[Sample]:
    """Samples of the stages that have a Job and are not over."""
    active = [stage for stage in status.stages if stage.job and stage.state in ("Pending", "Running")]
    for (stage, state), count in sorted(Counter((each.stage, each.state) for each in active).items()):
        yield Sample(ACTIVE, (*name, stage, state), count)
    started: dict[str, float] = {}
    for each in active:
        if (second := _second(each)) is not None:
            started[each.stage] = min(second, started.get(each.stage, second))
    for stage_name, second in sorted(started.items()):
        yield Sample(STARTED, (*name, stage_name), second)


def _second(stage: StageStatus) -> float | None:
    return datetime.fromisoformat(stage.started_at).timestamp() if stage.started_at else None
