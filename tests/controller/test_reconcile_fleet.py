"""A reconcile of a rollout: what it sees of the fleet, and in which order it writes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.builders import COCKPIT, SETTINGS, START, deployment, spec
from controller.recording import RecordingCluster
from controller.test_fleet_view import node
from dms_operator.controller import reconcile
from dms_operator.controller.caches import Caches, ObjectName, Raw
from dms_operator.controller.events import Event
from dms_operator.controller.kube import ApiError
from dms_operator.controller.metrics import Metrics
from dms_operator.controller.observation import Observed
from dms_operator.controller.plan import Plan
from dms_operator.controller.reconcile import Reconciler
from dms_operator.controller.rollout.fleet import Fleet
from dms_operator.controller.rollout_readings import Readings

NAME = ObjectName("perception", "driver")
LABEL = "perception.revision.dms.edge/driver"
ROLLOUT = {"waves": [{"name": "fleet", "size": "100%"}]}


class Scene:
    """A reconciler whose plan is the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        self.cluster, self.caches = RecordingCluster(), Caches()
        metrics = Metrics(self.caches, lambda: 0, CollectorRegistry())
        self.reconciler = Reconciler(self.caches, self.cluster, SETTINGS, metrics, lambda: START)
        self.caches.deployments.put(self.cluster.put_deployment(deployment(spec(COCKPIT, **more))))
        self.observed: list[Observed] = []
        self.plan: dict[str, Any] = {}
        monkeypatch.setattr(reconcile, "plan", self._plan)

    def _plan(self, observed: Observed, _settings: Any, _now: datetime) -> Plan:
        self.observed.append(observed)
        status = observed.status.model_copy(update={"observed_generation": len(self.observed)})
        return Plan(status, **self.plan)

    def add_vehicle(self, name: str) -> None:
        self.cluster.nodes[name] = self.cluster.stamp(node(name))
        self.caches.vehicles.put(self.cluster.nodes[name])

    async def reconcile(self) -> float | None:
        return await self.reconciler.reconcile(NAME)


async def test_a_deployment_sees_the_fleet_only_if_it_rolls_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for more, seen in (({}, []), ({"rollout": ROLLOUT}, ["car"])):
        scene = Scene(monkeypatch, **more)
        scene.add_vehicle("car")
        await scene.reconcile()
        assert [vehicle.name for vehicle in scene.observed[0].fleet.vehicles] == seen


async def test_vehicles_are_labelled_before_anything_is_deleted_made_or_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")
    metadata = {"name": "activate", "namespace": "perception"}
    owner = [{"kind": "DMSModelDeployment", "name": "driver", "uid": "uid-of-driver", "controller": True}]
    job = await scene.cluster.create_job({"metadata": {**metadata, "name": "old", "ownerReferences": owner}})
    scene.caches.jobs.put(job)
    scene.cluster.calls.clear()
    scene.plan = {
        "node_labels": {"car": {LABEL: "abc"}},
        "delete": ["old"],
        "create": [{"metadata": {**metadata, "ownerReferences": owner}}],
        "events": [Event("Normal", "WaveStarted", "wave fleet")],
    }
    await scene.reconcile()
    assert scene.cluster.calls == [
        f"label_node car {LABEL}=abc",
        "delete_job old",
        "create_job activate",
        "patch_status driver",
        "post_event WaveStarted",
    ]


async def test_a_label_is_seen_before_the_watch_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")
    scene.plan = {"node_labels": {"car": {LABEL: "abc"}}}
    assert await scene.reconcile() == 0.0, "nobody will tell of it: look again"
    scene.plan = {"node_labels": {"car": {LABEL: None}}}
    await scene.reconcile()
    await scene.reconcile()
    assert [observed.fleet.vehicles[0].revision for observed in scene.observed] == ["", "abc", ""]


async def test_a_vehicle_that_is_gone_has_nothing_to_note(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.caches.vehicles.put(node("scrapped"))
    scene.plan = {"node_labels": {"scrapped": {LABEL: "abc"}}}
    await scene.reconcile()
    assert scene.cluster.calls == [f"label_node scrapped {LABEL}=abc", "patch_status driver"]
    assert len(scene.caches.vehicles) == 0


async def test_a_node_that_is_no_vehicle_any_more_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("retired")
    del scene.cluster.nodes["retired"]["metadata"]["labels"]["dms.edge/vehicle"]
    scene.plan = {"node_labels": {"retired": {LABEL: "abc"}}}
    await scene.reconcile()
    assert len(scene.caches.vehicles) == 0


async def test_a_refused_job_on_a_vehicle_tells_of_no_step_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")
    scene.cluster.faults["create_job"] = ApiError(403, "Forbidden", "exceeded quota")
    metadata = {"name": "activate", "namespace": "perception", "annotations": {"dms.edge/node": "car"}}
    scene.plan = {"create": [{"metadata": metadata}]}
    with pytest.raises(ApiError, match="exceeded quota"):
        await scene.reconcile()
    assert "patch_status driver" not in scene.cluster.calls
    assert [event["message"] for event in scene.cluster.events.values()] == [
        "the cluster refused Job activate: exceeded quota"
    ]


async def test_nothing_is_deleted_when_a_label_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")
    scene.cluster.faults["label_node"] = ApiError(500, "InternalError", "etcd is away")
    scene.plan = {"node_labels": {"car": {LABEL: "abc"}}, "delete": ["old"]}
    with pytest.raises(ApiError, match="etcd is away"):
        await scene.reconcile()
    assert scene.cluster.writes == [f"label_node car {LABEL}=abc"]


async def test_what_changed_while_an_earlier_write_was_under_way_is_decided_upon_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")
    scene.add_vehicle("van")
    label_node = scene.cluster.label_node

    async def meanwhile(name: str, marks: Mapping[str, str | None], version: str) -> Raw | None:
        if name == "car" and "fleet" not in (marked := scene.cluster.nodes["van"]["metadata"]["labels"]):
            marked["fleet"] = "retired"
            scene.caches.vehicles.put(scene.cluster.stamp(scene.cluster.nodes["van"]))
        return await label_node(name, marks, version)

    monkeypatch.setattr(scene.cluster, "label_node", meanwhile)
    scene.plan = {"node_labels": {"car": {LABEL: "abc"}, "van": {LABEL: "abc"}}}
    with pytest.raises(ApiError, match="409"):
        await scene.reconcile()
    labels = [scene.cluster.nodes[name]["metadata"]["labels"] for name in ("car", "van")]
    assert [each.get(LABEL) for each in labels] == ["abc", None], "the cache knows the new version, the plan did not"
    await scene.reconcile()
    assert scene.observed[-1].fleet.vehicles[1].labels["fleet"] == "retired"


async def test_a_job_that_changed_since_it_was_decided_upon_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    job = await scene.cluster.create_job(vehicle_job("prefetch"))
    scene.caches.jobs.put(job)
    scene.plan = {"delete": ["prefetch"]}
    live = scene.cluster.stamp(scene.cluster.jobs[ObjectName("perception", "prefetch")])
    with pytest.raises(ApiError, match="409"):
        await scene.reconcile()
    assert scene.cluster.jobs, "it may have come to its end"
    scene.caches.jobs.put(live)
    await scene.reconcile()
    assert not scene.cluster.jobs


async def test_a_plan_fits_what_happened_while_metrics_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")

    async def slow(_readings: Readings, fleet: Fleet, *_: Any) -> Fleet:
        held = node("car")
        held["metadata"]["labels"]["dms.edge/hold"] = "true"
        scene.caches.vehicles.put(scene.cluster.stamp(held))
        return replace(fleet, unreadable="the server hangs")

    monkeypatch.setattr(reconcile, "readings_wanted", lambda *_: ["p99LatencyMs"])
    monkeypatch.setattr(Readings, "add_to", slow)
    await scene.reconcile()
    fleet = scene.observed[0].fleet
    assert (fleet.vehicles[0].held, fleet.unreadable) == (True, "the server hangs")


async def test_a_label_that_is_refused_is_told_on_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.add_vehicle("car")
    scene.cluster.faults["label_node"] = ApiError(403, "Forbidden", "cannot patch resource nodes/status")
    scene.plan = {"node_labels": {"car": {LABEL: "abc"}}}
    with pytest.raises(ApiError):
        await scene.reconcile()
    [event] = scene.cluster.events.values()
    assert "refused to label vehicle car: cannot patch resource nodes/status" in event["message"]


def vehicle_job(name: str) -> dict[str, Any]:
    owner = {"kind": "DMSModelDeployment", "name": "driver", "uid": "uid-of-driver", "controller": True}
    metadata = {"name": name, "namespace": "perception", "ownerReferences": [owner]}
    return {"metadata": metadata | {"annotations": {"dms.edge/node": "car"}}}


async def test_no_deletion_cuts_a_job_on_a_vehicle_off_for_the_finalizer_is_there_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.plan = {"create": [vehicle_job("prefetch")]}
    await scene.reconcile()
    assert scene.cluster.calls[:2] == ["set_finalizers driver dms.edge/operator", "create_job prefetch"]
    scene.plan = {}
    await scene.reconcile()
    assert scene.cluster.deployments[NAME]["metadata"]["finalizers"] == ["dms.edge/operator"]
    scene.caches.jobs.drop(scene.cluster.jobs[ObjectName("perception", "prefetch")])
    await scene.reconcile()
    assert scene.cluster.deployments[NAME]["metadata"]["finalizers"] == []


async def test_no_job_on_a_vehicle_is_made_for_a_deployment_that_is_deleted_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch, rollout=ROLLOUT)
    scene.plan = {"create": [vehicle_job("activate")]}
    scene.cluster.faults["set_finalizers"] = ApiError(409, "Conflict", "the object has been modified")
    with pytest.raises(ApiError, match="modified"):
        await scene.reconcile()
    assert scene.cluster.jobs == {}
