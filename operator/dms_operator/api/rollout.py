"""`spec.rollout`: how a built model reaches the fleet (fields and state machine: docs/rollout.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StringConstraints, field_validator, model_validator

from . import patterns
from .base import Model, Name
from .node_labels import NodeLabels
from .quantities import AboveZero, Duration

CountOrPercent = Annotated[str, StringConstraints(pattern=patterns.COUNT_OR_PERCENT, max_length=6)]
"""A number of nodes as text (`2`), or a share of the fleet (`5%`)."""
SomeOrPercent = Annotated[str, StringConstraints(pattern=patterns.SOME_OR_PERCENT, max_length=6)]
"""The same, and not none: to stop a rollout there is spec.suspend."""
MAX_WAVES = 20


class FleetSelector(Model):
    """Which nodes are the fleet."""

    match_labels: NodeLabels = {}
    """Labels that a fleet node carries; the target's board type is always asked for as well."""
    exclude_labels: NodeLabels = {}
    """A node that carries one of these is left out."""


class WaveSpec(Model):
    """A share of the fleet that is updated together."""

    name: Name
    """Name of the wave, unique in the rollout."""
    size: SomeOrPercent
    """Nodes (\"2\") or share of the fleet (\"5%\") with the revision when it ends; no less than in waves before it."""
    soak: Duration = Duration("0s")
    """How long the gates are watched before the next wave may start."""
    approval: Literal["Auto", "Manual"] = "Auto"
    """Manual waits for the annotation dms.edge/approve=<revision>/<wave>."""

    @property
    def is_share(self) -> bool:
        """Whether its size is a share of the fleet."""
        return self.size.endswith("%")

    @property
    def number(self) -> int:
        """Its size without the unit."""
        return int(self.size.removesuffix("%"))


class FailurePolicy(Model):
    """What happens when nodes fail."""

    action: Literal["Rollback", "Pause", "Continue"] = "Rollback"
    """What to do when more than maxFailures nodes have failed."""
    max_failures: CountOrPercent = "0"
    """Nodes that may fail before the action is taken."""
    per_node_retries: int = Field(default=2, ge=0, le=20)
    """Attempts on one node before it counts as failed."""


class OfflinePolicy(Model):
    """What happens with nodes that cannot be reached."""

    grace: Duration = Duration("1h")
    """How long a node may be away before the action is taken."""
    action: Literal["Defer", "Fail"] = "Defer"
    """Defer: the node catches up later and holds no slot. Fail: it counts as failed."""


class UpdateWindow(Model):
    """When updates may start."""

    days: list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]] = Field(
        default=["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], min_length=1, max_length=7
    )
    """Days of the week."""
    start: Annotated[str, StringConstraints(pattern=patterns.CLOCK, max_length=5)]
    """Start, HH:MM."""
    end: Annotated[str, StringConstraints(pattern=patterns.CLOCK, max_length=5)]
    """End, HH:MM; before start means the next day."""
    time_zone: str = Field(default="UTC", max_length=64)
    """IANA time zone."""

    @field_validator("time_zone")
    @classmethod
    def _time_zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no IANA time zone: write for example Europe/Berlin, or UTC") from error
        return name


MetricName = Literal["p99LatencyMs", "errorRate", "temperatureCelsius"]


@dataclass(frozen=True)
class Bounds:
    """What a metric may be held against, so that a reading can pass and another cannot: in words, as CEL, in Python."""

    words: str
    rule: str
    hold: Callable[[float], bool]


METRIC_BOUNDS: dict[MetricName, Bounds] = {
    "p99LatencyMs": Bounds(
        "no latency is 0 or less: write milliseconds, such as 33", "self.value > 0.0", lambda value: value > 0
    ),
    "errorRate": Bounds(
        "errorRate is a share of all inferences, from 0 to 1: write 0.01 for one percent",
        "self.value >= 0.0 && self.value <= 1.0",
        lambda value: 0 <= value <= 1,
    ),
    "temperatureCelsius": Bounds(
        "nothing is so cold: write degrees Celsius, such as 85", "self.value > -273.15", lambda value: value > -273.15
    ),
}


class MetricGate(Model):
    """A live metric that must stay within a bound while a wave soaks."""

    metric: MetricName
    """The metric, as exported by the fleet's runtime."""
    op: Literal["<=", ">="] = "<="
    """How the metric is held against the value."""
    value: float
    """The bound."""
    interval: Annotated[Duration, AboveZero("write how often the metric is read, such as 1m")] = Duration("1m")
    """How often it is read."""
    count: int = Field(default=10, ge=1, le=10_000)
    """Readings that must pass."""
    failure_limit: int = Field(default=0, ge=0, le=10_000)
    """Readings that may fail."""

    @model_validator(mode="after")
    def _value_can_decide(self) -> Self:
        if not METRIC_BOUNDS[self.metric].hold(self.value):
            raise ValueError(METRIC_BOUNDS[self.metric].words)
        return self


class RolloutSpec(Model):
    """How a built model reaches the fleet."""

    selector: FleetSelector = FleetSelector()
    """Which nodes are the fleet."""
    waves: list[WaveSpec] = Field(
        min_length=1,
        max_length=MAX_WAVES,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Waves in order; the last one is usually 100%."""
    max_unavailable: SomeOrPercent = "10%"
    """Nodes that may be updating at the same time; offline nodes do not count."""
    max_prefetch: int = Field(default=50, ge=1, le=10_000)
    """Nodes that may download at the same time, before they switch."""
    failure_policy: FailurePolicy = FailurePolicy()
    """What happens when nodes fail."""
    offline_policy: OfflinePolicy = OfflinePolicy()
    """What happens with nodes that cannot be reached."""
    window: UpdateWindow | None = None
    """When updates may start; absent = any time."""
    gates: list[MetricGate] = Field(default=[], max_length=10)
    """Live metrics that must stay within bounds while a wave soaks. No data is never a pass."""
    progress_deadline: Annotated[Duration, AboveZero("write how long a vehicle may take, such as 1h")] = Duration("1h")
    """How long a wave may make no progress before it counts as failed."""
    deletion_policy: Literal["Retain", "Remove"] = "Retain"
    """What stays on the nodes when the deployment is deleted; Remove works on maxUnavailable of them at a time."""

    @model_validator(mode="after")
    def _waves_have_names_of_their_own(self) -> Self:
        names = [wave.name for wave in self.waves]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two waves are named {name!r}: give each wave a name of its own")
        return self

    @model_validator(mode="after")
    def _waves_do_not_shrink(self) -> Self:
        """A count and a share can be held against each other only where the fleet is known (controller/rollout)."""
        largest: dict[bool, WaveSpec] = {}
        for wave in self.waves:
            before = largest.get(wave.is_share, wave)
            if wave.number < before.number:
                smaller = f"wave {wave.name!r} ({wave.size}) is smaller than {before.name!r} ({before.size}) before it"
                raise ValueError(f"{smaller}: sizes are cumulative, so make it larger or move it to the front")
            largest[wave.is_share] = wave
        return self
