"""What GitOps tools make of a rollout: of every status that the planner writes on the way over a fleet."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controller.fleet_world import FleetWorld, fleet_world
from dms_operator.api.labels import ABORT
from dms_operator.controller.rollout.fleet import Gauge, Reading
from gitops import argocd, flux
from gitops.kstatus import kstatus

APPROVAL = [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
SOAK = [{"name": "lab", "size": "1", "soak": "1h"}, {"name": "fleet", "size": "100%"}]
GATES = [{"metric": "p99LatencyMs", "value": 33, "interval": "60s"}]
PAUSE = {"action": "Pause"}


def updating() -> FleetWorld:
    fleet = fleet_world()
    fleet.run_until_built()
    fleet.reconcile()
    return fleet


def _broken(**rollout: Any) -> FleetWorld:
    fleet = fleet_world(**rollout)
    fleet.run_until_built()
    fleet.broken = {(name, fleet.revision()) for name in fleet.vehicles}
    return fleet


def going_back() -> FleetWorld:
    fleet = fleet_world(waves=APPROVAL).settle()
    fleet.annotate(ABORT, fleet.revision())
    fleet.reconcile()
    return fleet


def suspended() -> FleetWorld:
    fleet = fleet_world(waves=SOAK).settle()
    fleet.edit(suspend=True)
    return fleet.settle()


def failing_its_gate() -> FleetWorld:
    fleet = fleet_world(waves=SOAK, gates=GATES, failurePolicy=PAUSE).settle()
    slow = [Reading(fleet.now + timedelta(minutes=minute), 90.0) for minute in range(1, 6)]
    fleet.tick(5 * 60)
    fleet.readings = {Gauge("p99LatencyMs", 60.0): tuple(slow)}
    return fleet.settle()


def without_readings() -> FleetWorld:
    fleet = fleet_world(waves=SOAK, gates=GATES).settle()
    fleet.tick(2 * 3600)
    return fleet.settle()


Seen = tuple[str, str, str, str]
"""What kstatus, Flux for the lab, Flux for the fleet, and Argo CD say."""
ROLLING: Seen = ("InProgress", "InProgress", "Current", "Progressing")
WAITING: Seen = ("InProgress", "InProgress", "Current", "Suspended")
FAILED: Seen = ("Failed", "Failed", "Failed", "Degraded")

CASES: list[tuple[Callable[[], FleetWorld], tuple[str, str], Seen]] = [
    (updating, ("Updating", ""), ROLLING),
    (lambda: fleet_world(waves=SOAK).settle(), ("Soaking", ""), ROLLING),
    (without_readings, ("Soaking", "GateInconclusive"), ROLLING),
    (lambda: fleet_world(0).settle(), ("Waiting", "NoVehicle"), ROLLING),
    (going_back, ("RollingBack", ""), ROLLING),
    (lambda: fleet_world(waves=APPROVAL).settle(), ("Waiting", "ApprovalRequired"), WAITING),
    (
        lambda: fleet_world(window={"start": "22:00", "end": "04:00"}).settle(),
        ("Waiting", "OutsideWindow"),
        WAITING,
    ),
    (suspended, ("Soaking", "Suspended"), ("InProgress", "Current", "Current", "Suspended")),
    (lambda: _broken().settle(), ("RolledBack", ""), FAILED),
    (lambda: _broken(failurePolicy=PAUSE).settle(), ("Updating", "FailureBudgetExceeded"), FAILED),
    (failing_its_gate, ("Soaking", "GateFailed"), FAILED),
    (lambda: fleet_world().settle(), ("Completed", ""), ("Current", "Current", "Current", "Healthy")),
]


def seen(body: dict[str, Any]) -> Seen:
    by_flux = {name: flux.health(body, checks) for name, checks in flux.expressions().items()}
    return kstatus(body), by_flux["dms-models-lab"], by_flux["dms-models-fleet"], argocd.health(body).status


@pytest.mark.parametrize(("make", "stands", "expected"), CASES, ids=[" ".join(case[1]).strip() for case in CASES])
def test_tools_see_where_a_rollout_stands(
    make: Callable[[], FleetWorld], stands: tuple[str, str], expected: Seen
) -> None:
    fleet = make()
    assert (fleet.rollout["state"], " ".join(fleet.pauses())) == stands
    assert seen(fleet.body) == expected


def test_argocd_says_what_to_do_to_go_on() -> None:
    fleet = fleet_world(waves=APPROVAL).settle()
    assert f"dms.edge/approve={fleet.revision()}/fleet" in argocd.health(fleet.body).message
    assert "vehicles failed" in argocd.health(_broken(failurePolicy=PAUSE).settle().body).message


def test_on_the_whole_way_no_tool_is_ahead_of_the_rollout() -> None:
    fleet, told = fleet_world(waves=APPROVAL), set()
    while "ApprovalRequired" not in fleet.pauses():
        fleet.reconcile()
        told.add(seen(fleet.body))
        for name in fleet.unfinished()[:1]:
            fleet.finish(name)
        fleet.tick()
    assert told == {("InProgress", "InProgress", "InProgress", "Progressing"), ROLLING, WAITING}
