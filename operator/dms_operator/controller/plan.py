"""From what is observed to what is to be done: one pure function."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ..api.status import DeploymentStatus
from .observation import Observed
from .settings import Settings


@dataclass(frozen=True)
class Event:
    """A Kubernetes event about the deployment; to be posted after the status was written."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What to do now. To be carried out in this order: delete, create, status (if it differs), events."""

    status: DeploymentStatus
    """The whole status as it shall be. A field that is None shall be absent (null in a merge patch)."""
    create: list[dict[str, Any]] = field(default_factory=list)
    """Job manifests; a Job of that name that exists already is success."""
    delete: list[str] = field(default_factory=list)
    """Names of Jobs; one that is gone already is success."""
    events: list[Event] = field(default_factory=list)
    requeue_after: float | None = None
    """Seconds after which to plan again even if nothing is reported."""


def plan(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Decide what comes next. `now` is time-zone aware; the same world and time give the same plan."""
    raise NotImplementedError
