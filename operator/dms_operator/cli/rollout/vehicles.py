"""The vehicles of a rollout one by one: what runs on each, and to which group of status.rollout it belongs. Pure."""

from dataclasses import dataclass
from datetime import datetime

from dms_operator.api.labels import RETRY
from dms_operator.api.rollout_status import RolloutStatus, VehicleCounts
from dms_operator.controller.facts import RETRY_LIMIT
from dms_operator.controller.observation import JobView
from dms_operator.controller.rollout.fleet import Vehicle, is_lost
from dms_operator.controller.rollout.ledger import Ledger
from dms_operator.controller.rollout.members import Member, members

from ..objects import Deployment

GROUPS = tuple(name for name in VehicleCounts.model_fields if name != "total")


@dataclass(frozen=True)
class Fleet:
    """What was read of the cluster beside the deployment."""

    vehicles: tuple[Vehicle, ...]
    """Each with the revision that this deployment runs there."""
    jobs: tuple[JobView, ...]
    """Jobs on vehicles."""


@dataclass(frozen=True)
class VehicleLine:
    """One vehicle."""

    name: str
    target: str
    group: str
    runs: str
    """The revision by its label; empty for none."""
    note: str = ""


def vehicle_lines(deployment: Deployment, status: RolloutStatus, fleet: Fleet, now: datetime) -> list[VehicleLine]:
    """The rollout's vehicles in its order."""
    meta = deployment.metadata
    attempt = meta.annotations.get(RETRY, "")[:RETRY_LIMIT] or deployment.status.handled_retry or ""
    assert deployment.spec.rollout is not None
    ledger = Ledger.of(fleet.jobs, attempt, deployment.spec.rollout.failure_policy.per_node_retries)
    found = members(deployment.spec, fleet.vehicles, meta.uid)
    return [_line(member, deployment, status, ledger, now) for member in found]


def _line(member: Member, deployment: Deployment, status: RolloutStatus, ledger: Ledger, now: datetime) -> VehicleLine:
    assert deployment.spec.rollout is not None
    name, vehicle = member.name, member.vehicle
    lost = is_lost(vehicle, deployment.spec.rollout.offline_policy, now)
    failures = {each.node: f"{each.reason}: {each.message}" for each in status.failed_vehicles}
    if vehicle.revision == status.revision and not ledger.is_switching(name):
        group, note = "updated", ""
    elif name in failures:
        group, note = "failed", failures[name]
    elif failure := ledger.failure(name, status.revision):
        group, note = "failed", f"{failure.reason}: {failure.message}"
    elif vehicle.held:
        group, note = "held", "dms.edge/hold, or cordoned"
    elif vehicle.away_since and (lost or not ledger.is_switching(name)):
        group, note = "offline", f"away since {vehicle.away_since:%Y-%m-%d %H:%M} UTC"
    elif ledger.is_switching(name):
        group, note = "updating", ""
    elif ledger.is_prefetching(name):
        group, note = "prefetching", ""
    else:
        group, note = "pending", ""
    return VehicleLine(name, member.target.name, group, vehicle.revision, note)
