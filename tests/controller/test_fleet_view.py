"""Vehicles as a rollout sees them: made of cached nodes, once for each of their changes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dms_operator.api.labels import revision_label
from dms_operator.controller.caches import Caches, ObjectName
from dms_operator.controller.fleet_view import FleetView, vehicle_of

DRIVER = ObjectName("perception", "driver")
SINCE = "2026-11-29T06:30:00Z"


def node(name: str, version: int = 1, *, ready: str = "True", marks: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": SINCE, "lastHeartbeatTime": str(version)}
    labels = {"dms.edge/vehicle": "qcs8255", "example.com/line": "a", **(marks or {})}
    return {
        "metadata": {**metadata, "labels": labels, "creationTimestamp": "2026-11-29T06:00:00Z"},
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"conditions": [condition, {"type": "DiskPressure", "status": "False"}], "images": [{"names": []}]},
    }


def view(*nodes: dict[str, Any]) -> tuple[FleetView, Caches]:
    caches = Caches()
    for each in nodes:
        caches.vehicles.put(each)
    return FleetView(caches.vehicles), caches


def test_a_vehicle_has_all_labels_of_its_node_since_users_choose_by_them() -> None:
    fleet, _ = view(node("car"))
    (vehicle,) = fleet.of(DRIVER)
    assert (vehicle.name, vehicle.board, vehicle.labels["example.com/line"]) == ("car", "qcs8255", "a")
    assert vehicle.away_since is None and not vehicle.held and vehicle.revision == ""


def test_each_deployment_sees_its_own_revision() -> None:
    fleet, _ = view(node("car", marks={revision_label(*DRIVER): "abc", revision_label("perception", "other"): "def"}))
    assert fleet.of(DRIVER)[0].revision == "abc"
    assert fleet.of(ObjectName("perception", "other"))[0].revision == "def"
    assert fleet.of(ObjectName("elsewhere", "driver"))[0].revision == ""


@pytest.mark.parametrize("ready", ["False", "Unknown"])
def test_a_vehicle_is_away_since_its_node_stopped_being_ready(ready: str) -> None:
    fleet, _ = view(node("car", ready=ready))
    assert fleet.of(DRIVER)[0].away_since == datetime(2026, 11, 29, 6, 30, tzinfo=UTC)


def test_a_node_that_was_never_heard_of_is_away_since_it_was_made() -> None:
    silent = node("car")
    silent["status"]["conditions"] = []
    assert vehicle_of(silent).away_since == datetime(2026, 11, 29, 6, 0, tzinfo=UTC)


def test_a_vehicle_that_is_heard_of_is_here_since_its_node_became_ready() -> None:
    fleet, _ = view(node("car"))
    (vehicle,) = fleet.of(DRIVER)
    assert vehicle.here_since == datetime(2026, 11, 29, 6, 30, tzinfo=UTC)


def test_a_cordoned_node_is_held_since_it_takes_no_pods() -> None:
    cordoned = node("car")
    cordoned["spec"]["unschedulable"] = True
    fleet, caches = view(cordoned)
    assert fleet.of(DRIVER)[0].held
    caches.vehicles.put(node("car", 2))
    assert not fleet.of(DRIVER)[0].held


@pytest.mark.parametrize(("mark", "held"), [("true", True), ("", True), ("in-workshop", True), ("false", False)])
def test_a_label_or_an_annotation_holds_a_vehicle(mark: str, held: bool) -> None:
    assert vehicle_of(node("car", marks={"dms.edge/hold": mark})).held is held
    annotated = node("car")
    annotated["metadata"]["annotations"] = {"dms.edge/hold": mark}
    assert vehicle_of(annotated).held is held


def test_a_vehicle_that_has_not_changed_is_not_read_again() -> None:
    fleet, caches = view(node("car"), node("van"))
    car, van = fleet.of(DRIVER)
    caches.vehicles.put(node("car", 2))  # a heartbeat
    caches.vehicles.put(node("van", 2, marks={"dms.edge/hold": "true"}))
    after = {vehicle.name: vehicle for vehicle in fleet.of(DRIVER)}
    assert after["car"] is car
    assert after["van"] is not van and after["van"].held


def test_vehicles_that_came_or_went_are_seen() -> None:
    fleet, caches = view(node("car"))
    fleet.of(DRIVER)
    caches.vehicles.put(node("van"))
    caches.vehicles.drop(node("car"))
    assert [vehicle.name for vehicle in fleet.of(DRIVER)] == ["van"]


def test_of_a_node_nothing_is_kept_but_what_is_read() -> None:
    _, caches = view(node("car"))
    kept = caches.vehicles.get(ObjectName("", "car"))
    assert kept is not None and set(kept) == {"metadata", "status"}
    assert set(kept["metadata"]) == {"name", "uid", "resourceVersion", "creationTimestamp", "labels", "annotations"}
    assert kept["status"] == {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": SINCE}]}
