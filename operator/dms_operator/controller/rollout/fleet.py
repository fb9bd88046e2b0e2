"""What is seen of the fleet: its vehicles, and what the vehicles' runtimes measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from ...api.rollout import MetricName, OfflinePolicy


class Gauge(NamedTuple):
    """A metric as a gate reads it: gates that read one at different intervals see different values."""

    metric: MetricName
    interval_seconds: float
    op: Literal["<=", ">="] = "<="
    """How it is held against the bound, which says whose value is the worst: the highest, or the lowest."""


@dataclass(frozen=True)
class Vehicle:
    """A node that is labelled as a vehicle, as one deployment sees it."""

    name: str
    board: str
    """Board type, by the vehicle label."""
    labels: Mapping[str, str] = field(default_factory=dict)
    away_since: datetime | None = None
    """Since when its kubelet has not been heard of; None while it is Ready."""
    here_since: datetime | None = None
    """Since when it is Ready; None while it is not, or when that is not known."""
    held: bool = False
    """Whether its people keep every change away from it; a cordoned node takes no pods either."""
    revision: str = ""
    """Name of the revision that the deployment runs there, by its label (naming.py); empty for nothing."""


def is_lost(vehicle: Vehicle, offline: OfflinePolicy, now: datetime) -> bool:
    """Whether a vehicle has been away for longer than the grace."""
    away = vehicle.away_since
    return away is not None and (now - away).total_seconds() >= offline.grace.value


@dataclass(frozen=True)
class Reading:
    """One reading of a live metric over all vehicles of a revision: the worst vehicle's value."""

    at: datetime
    value: float


@dataclass(frozen=True)
class ReadingsWanted:
    """What to read before the next plan: a gauge over the present soak."""

    gauge: Gauge
    revision: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Fleet:
    """Everything that a rollout is planned from beside the deployment and its Jobs."""

    vehicles: tuple[Vehicle, ...] = ()
    """All vehicles of the cluster, in no order: the deployment's selector and targets choose among them."""
    readings: Mapping[Gauge, tuple[Reading, ...]] = field(default_factory=dict)
    """Of the present soak, oldest first. What is absent could not be read."""
    told: Mapping[Gauge, Mapping[str, int]] = field(default_factory=dict)
    """How many readings each vehicle has given in the present soak. A gauge whose query does not tell vehicles apart is
    absent."""
    unreadable: str = ""
    """Why metrics could not be read, for the user; empty when they could, or none is wanted."""
