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
from dms_operator.controller.rollout.naming import names_on_vehicles

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
    """The revision, as its label names it; empty for none."""
    note: str = ""


def vehicle_lines(deployment: Deployment, status: RolloutStatus, fleet: Fleet, now: datetime) -> list[VehicleLine]:
    """The rollout's vehicles in its order."""
    meta = deployment.metadata
    attempt = meta.annotations.get(RETRY, "")[:RETRY_LIMIT] or deployment.status.handled_retry or ""
    assert deployment.spec.rollout is not None
    ledger = Ledger.of(fleet.jobs, attempt, deployment.spec.rollout.failure_policy.per_node_retries)
    found, names = members(deployment.spec, fleet.vehicles, meta.uid), _names(deployment, status)
    return [
        _line(member, names.get(member.target.name, status.revision), deployment, status, ledger, now)
        for member in found
    ]


def _names(deployment: Deployment, status: RolloutStatus) -> dict[str, str]:
    """What the revision is called on vehicles of each target."""
    releases = deployment.status.revision.releases if deployment.status.revision else []
    return next((names_on_vehicles(each) for each in releases if each.revision == status.revision), {})


def _line(
    member: Member, wanted: str, deployment: Deployment, status: RolloutStatus, ledger: Ledger, now: datetime
) -> VehicleLine:
    assert deployment.spec.rollout is not None
    lost = is_lost(member.vehicle, deployment.spec.rollout.offline_policy, now)
    group, note = _standing(member.vehicle, wanted, status, ledger, lost=lost)
    return VehicleLine(member.name, member.target.name, group, member.vehicle.revision, note)


def _standing(vehicle: Vehicle, wanted: str, status: RolloutStatus, ledger: Ledger, *, lost: bool) -> tuple[str, str]:
    """The group, and what is to be said about it; `wanted` is the revision's name on the vehicle."""
    switching = ledger.is_switching(vehicle.name)
    if vehicle.revision in (wanted, status.revision) and not switching:
        return "updated", ""
    again = next((each for each in status.fetched_again if each.node == vehicle.name), None)
    if failure := _failure(vehicle, wanted, status, ledger, fetched_again=again is not None):
        return "failed", failure
    if vehicle.held:
        return "held", "dms.edge/hold, or cordoned"
    if vehicle.away_since and (lost or not switching):
        return "offline", f"away since {vehicle.away_since:%Y-%m-%d %H:%M} UTC"
    if switching:
        return "updating", ""
    note = f"brought again: {again.message}" if again else ""
    return ("prefetching" if ledger.is_prefetching(vehicle.name) else "pending"), note


def _failure(vehicle: Vehicle, wanted: str, status: RolloutStatus, ledger: Ledger, *, fetched_again: bool) -> str:
    """Why it failed, by status, which names some, else by its Jobs; empty when it did not."""
    if told := next((each for each in status.failed_vehicles if each.node == vehicle.name), None):
        return f"{told.reason}: {told.message}"
    # without its pod's answer a Job does not tell damage, which is mended, from a failure
    found = None if fetched_again else ledger.failure(vehicle.name, wanted)
    return f"{found.reason}: {found.message}" if found else ""
