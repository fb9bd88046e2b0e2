"""A rollout's progress as Prometheus samples. Pure."""

from collections.abc import Iterator

from ..api.rollout_status import PAUSE_REASONS, RolloutStatus, VehicleCounts
from .caches import ObjectName
from .samples import OBJECT_LABELS, Family, Sample

NODES = Family(
    "dms_rollout_nodes",
    "Vehicles of the rollout, by how they stand; all states together are all",
    (*OBJECT_LABELS, "state"),
)
WAVE = Family("dms_rollout_wave", "Place of the present wave, from 1; 0 before the first one began", OBJECT_LABELS)
WAVES = Family("dms_rollout_waves", "Number of waves", OBJECT_LABELS)
PAUSED = Family("dms_rollout_paused", "1 for a reason for which nothing is started now", (*OBJECT_LABELS, "reason"))
ROLLED_BACK = Family(
    "dms_rollout_rolled_back", "1 while the revision that the spec asks for was taken back", OBJECT_LABELS
)

ROLLOUT_FAMILIES = (NODES, WAVE, WAVES, PAUSED, ROLLED_BACK)
_STATES = tuple(name for name in VehicleCounts.model_fields if name != "total")


def rollout_samples(name: ObjectName, status: RolloutStatus | None) -> Iterator[Sample]:
    """Samples of a deployment that is rolled out; none of another."""
    if status is None or not status.waves:
        return
    for state in _STATES:
        yield Sample(NODES, (*name, state), getattr(status.vehicles, state))
    begun = status.started_at is not None
    yield Sample(WAVE, name, status.wave_index + 1 if begun else 0)
    yield Sample(WAVES, name, status.waves)
    reasons = {pause.reason for pause in status.pauses}
    for reason in PAUSE_REASONS:
        yield Sample(PAUSED, (*name, reason), float(reason in reasons))
    yield Sample(ROLLED_BACK, name, float(status.state in ("RollingBack", "RolledBack")))
