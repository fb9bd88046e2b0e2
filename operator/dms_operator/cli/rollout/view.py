"""A rollout as it is shown: one value, made of what was read by pure functions."""

from dataclasses import dataclass
from datetime import datetime

from dms_operator.api.errors import DMSError
from dms_operator.api.rollout_status import GateReadings, RolloutStatus
from dms_operator.controller.rollout.pauses import BACKWARD
from dms_operator.controller.text import parse_timestamp

from ..objects import Deployment
from .requests import rollout_of, where
from .steps import Step, next_steps
from .vehicles import GROUPS, Fleet, VehicleLine, vehicle_lines
from .waves import WaveLine, span, wave_lines

BUILDING = ("Pending", "Resolving", "Quantizing", "Converting", "Benchmarking")


@dataclass(frozen=True)
class Wait:
    """A reason for which nothing is started."""

    reason: str
    since: str
    lasts: str
    message: str


@dataclass(frozen=True)
class RolloutView:
    """Everything that `dms rollout status` shows."""

    name: str
    namespace: str
    revision: str
    state: str
    headline: str
    waves: list[WaveLine]
    counts: dict[str, int]
    """Vehicles by group of status.rollout."""
    vehicles: list[VehicleLine]
    gates: list[GateReadings]
    waits: list[Wait]
    steps: list[Step]
    remarks: list[str]


def rollout_view(deployment: Deployment, fleet: Fleet | DMSError, now: datetime, options: str = "") -> RolloutView:
    """Put together what is shown. Raises NoRollout."""
    status = rollout_of(deployment)
    assert deployment.spec.rollout is not None
    vehicles = vehicle_lines(deployment, status, fleet, now) if isinstance(fleet, Fleet) else []
    suspended = deployment.spec.suspend
    return RolloutView(
        name=deployment.name,
        namespace=deployment.metadata.namespace,
        revision=status.revision,
        state=status.state,
        headline=headline(status, now),
        waves=list(wave_lines(deployment.spec.rollout, status, now)),
        counts={group: getattr(status.vehicles, group) for group in GROUPS},
        vehicles=vehicles,
        gates=status.gates,
        waits=[Wait(each.reason, each.since, _since(each.since, now), each.message) for each in status.pauses],
        steps=list(next_steps(deployment.name, status, vehicles, options, suspended=suspended)),
        remarks=list(_remarks(deployment, fleet)),
    )


def headline(status: RolloutStatus, now: datetime) -> str:
    """Where it stands, in one line."""
    figures = status.vehicles
    ended = f" {_since(status.finished_at, now)} ago" if status.finished_at else ""
    if status.state in BACKWARD:
        doing = "is being taken back" if status.state == "RollingBack" else f"was taken back{ended}"
        goal = status.completed or "no model"
        return f"{doing}, to {goal}: {status.cause}; {figures.updated} vehicles still run it"
    standing = f"completed{ended}" if status.state == "Completed" else where(status)
    paused = f" ({', '.join(pause.reason for pause in status.pauses)})" if status.pauses else ""
    return f"{standing}{paused}; {figures.updated} of {figures.total} vehicles run the revision"


def _remarks(deployment: Deployment, fleet: Fleet | DMSError) -> list[str]:
    found = []
    if not deployment.is_current:
        found.append("the operator has not looked at the present spec yet: this is about the one before")
    elif deployment.status.phase in BUILDING:
        found.append(f"the spec asks for another revision by now, which is built: phase {deployment.status.phase}")
    if isinstance(fleet, DMSError):
        found.append(f"the vehicles' names are missing, which takes the right to list nodes and jobs: {fleet}")
    return found


def _since(moment: str, now: datetime) -> str:
    return span((now - parse_timestamp(moment)).total_seconds())
