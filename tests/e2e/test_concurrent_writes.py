"""Somebody else changes an object between what the operator saw and what it writes: nobody's change is lost.

Over the real HTTP API. What comes between is done by kubectl just before the operator's request is sent; the operator
is refused then (409), and decides anew upon what it sees at its next look.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from dms_operator.api.labels import API_VERSION, FINALIZER, KIND
from dms_operator.controller.boards import BoardKeeper
from dms_operator.controller.caches import Caches, ObjectName
from dms_operator.controller.connection import Connection
from dms_operator.controller.credentials import Credentials, load_configuration
from dms_operator.controller.events import Event
from dms_operator.controller.kube import ApiError, Kube
from dms_operator.controller.posts import event_manifest
from dms_operator.controller.writer import Writer
from dms_operator.pipeline.probe.reading import Reading, Verdict, status_patch

from .running import Cluster, Kubectl

LABEL = "perception.revision.dms.edge/driver"
CPU = {"cpu": "4"}
OFFER = {**CPU, "dms.edge/tda4vm": "1"}


class Meddling(Connection):
    """A connection with somebody else at work: `before` is done once, before the next request of a method is sent."""

    method = ""
    before: Callable[[], object] | None = None

    def meddle(self, method: str, before: Callable[[], object]) -> None:
        self.method, self.before = method, before

    async def request(self, method: str, path: str, **options: Any) -> Any:
        if method == self.method and self.before is not None:
            meddle, self.before = self.before, None
            await asyncio.to_thread(meddle)
        return await super().request(method, path, **options)


@pytest.fixture
async def connection(cluster: Cluster) -> AsyncIterator[Meddling]:
    async def pass_on(request: Any, handler: Any) -> Any:
        return await handler(request)

    credentials = Credentials(await load_configuration(cluster.kubeconfig))
    opened = Meddling(credentials, lambda verb, code: None, pass_on)
    yield opened
    await opened.close()


@pytest.fixture
def node(kubectl: Kubectl) -> Iterator[str]:
    """A node without a kubelet: nobody but this test changes it."""
    name = f"node-{uuid4().hex[:6]}"
    kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    status = json.dumps({"status": {"capacity": CPU, "allocatable": CPU}})
    kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", status)
    yield name
    kubectl("delete", "node", name, "--wait=false")


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_board_that_is_taken_out_of_service_just_before_it_is_offered_is_not_offered(
    connection: Meddling, kubectl: Kubectl, node: str
) -> None:
    kubectl("label", "node", node, "dms.edge/board=tda4vm")
    caches = Caches()
    keeper = BoardKeeper(caches, Kube(connection), now, caches.nodes.put)
    caches.nodes.put(kubectl.json("get", "node", node))
    connection.meddle("PATCH", lambda: kubectl("label", "node", node, "dms.edge/board-disabled=true"))
    with pytest.raises(ApiError, match="409"):
        await keeper.reconcile(node)
    assert kubectl.json("get", "node", node)["status"]["capacity"] == CPU

    caches.nodes.put(kubectl.json("get", "node", node))
    await keeper.reconcile(node)
    kubectl("label", "node", node, "dms.edge/board-disabled-")
    caches.nodes.put(kubectl.json("get", "node", node))
    connection.meddle("PATCH", lambda: kubectl("annotate", "node", node, "example.com/rack=7"))
    with pytest.raises(ApiError, match="409"):
        await keeper.reconcile(node)
    caches.nodes.put(kubectl.json("get", "node", node))
    await keeper.reconcile(node)
    found = kubectl.json("get", "node", node)
    assert (found["status"]["capacity"], found["status"]["allocatable"]) == (OFFER, OFFER)
    assert found["metadata"]["annotations"]["example.com/rack"] == "7"


async def test_a_vehicle_keeps_what_others_write_on_it_while_its_revision_is_noted(
    connection: Meddling, kubectl: Kubectl, node: str
) -> None:
    kubectl("label", "node", node, "dms.edge/vehicle=generic-x86")
    caches, kube, body = Caches(), Kube(connection), {"metadata": {"name": "driver", "uid": "u"}}
    writer = Writer(caches, kube, now, kube.post_event)

    async def noted() -> None:
        await writer.label(body, node, {LABEL: "abc"}, writer.seen("perception", [], [node]))

    caches.vehicles.put(kubectl.json("get", "node", node))
    connection.meddle("PATCH", lambda: kubectl("label", "node", node, "dms.edge/hold=true", f"{LABEL}=by-hand"))
    with pytest.raises(ApiError, match="409"):
        await noted()
    assert kubectl.json("get", "node", node)["metadata"]["labels"][LABEL] == "by-hand"
    caches.vehicles.put(kubectl.json("get", "node", node))
    await noted()
    labels = kubectl.json("get", "node", node)["metadata"]["labels"]
    assert (labels[LABEL], labels["dms.edge/hold"]) == ("abc", "true")


async def test_a_node_that_the_caches_do_not_know_is_read_before_it_is_written(
    connection: Meddling, kubectl: Kubectl, node: str
) -> None:
    kube, body = Kube(connection), {"metadata": {"name": "driver", "uid": "u"}}
    writer = Writer(Caches(), kube, now, kube.post_event)
    seen = writer.seen("perception", [], [node])
    connection.meddle("PATCH", lambda: kubectl("label", "node", node, "example.com/rack=7"))
    with pytest.raises(ApiError, match="409"):
        await writer.label(body, node, {LABEL: "abc"}, seen)
    await writer.label(body, node, {LABEL: "abc"}, seen)
    labels = kubectl.json("get", "node", node)["metadata"]["labels"]
    assert (labels[LABEL], labels["example.com/rack"]) == ("abc", "7")


async def test_what_the_probe_says_of_a_board_leaves_what_others_wrote_on_its_node_meanwhile(
    connection: Meddling, kubectl: Kubectl, node: str
) -> None:
    reading = Reading({"model": "SA8255", "freeDiskBytes": 1 << 30}, Verdict("True", "BoardHealthy", "it answers"))
    patch = status_patch(kubectl.json("get", "node", node), reading, now())
    pressure = {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"}

    def meanwhile() -> None:
        kubectl("annotate", "node", node, "example.com/rack=7")
        conditions = json.dumps({"status": {"conditions": [pressure]}})
        kubectl("patch", "node", node, "--subresource=status", "--type=strategic", "-p", conditions)

    connection.meddle("PATCH", meanwhile)
    kind = {"Content-Type": "application/strategic-merge-patch+json"}
    answer = await connection.request("PATCH", f"/api/v1/nodes/{node}/status", data=json.dumps(patch), headers=kind)
    assert answer.status == 200
    found = kubectl.json("get", "node", node)
    assert {"DiskPressure", "DMSBoardHealthy"} <= {each["type"] for each in found["status"]["conditions"]}
    assert {"example.com/rack", "dms.edge/board-facts"} <= found["metadata"]["annotations"].keys()


async def test_a_job_that_somebody_holds_on_to_meanwhile_is_deleted_only_after_another_look(
    connection: Meddling, kubectl: Kubectl
) -> None:
    container = {"name": "c", "image": "example.com/none"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    job = {"metadata": {"name": "stage"}, "spec": {"suspend": True, "template": template}}
    kubectl.apply({"apiVersion": "batch/v1", "kind": "Job", **job})
    kubectl("wait", "job/stage", "--for=condition=Suspended", "--timeout=30s")
    caches, kube = Caches(), Kube(connection)
    writer = Writer(caches, kube, now, kube.post_event)
    caches.jobs.put(kubectl.json("get", "job", "stage"))
    connection.meddle("DELETE", lambda: kubectl("annotate", "job", "stage", "example.com/keep=evidence"))
    with pytest.raises(ApiError, match="409"):
        await writer.delete("stage", writer.seen(kubectl.namespace, ["stage"], []))
    kept = kubectl.json("get", "job", "stage")
    assert kept["metadata"]["annotations"]["example.com/keep"] == "evidence"
    assert "deletionTimestamp" not in kept["metadata"]
    caches.jobs.put(kept)
    assert await writer.delete("stage", writer.seen(kubectl.namespace, ["stage"], []))


async def test_an_event_that_two_count_up_at_once_is_counted_twice(connection: Meddling, kubectl: Kubectl) -> None:
    about = {"metadata": {"name": "driver", "namespace": kubectl.namespace, "uid": uuid4().hex}}
    event = event_manifest(about, KIND, API_VERSION, Event("Normal", "StageSucceeded", "resolve"), now())
    name = ObjectName.of(event).name
    kube = Kube(connection)
    await kube.post_event(event)

    def count_up() -> None:
        kubectl("patch", "event", name, "--type=merge", "-p", json.dumps({"count": 2, "reportingInstance": "other"}))

    connection.meddle("PATCH", count_up)
    await kube.post_event(event)
    found = kubectl.json("get", "event", name)
    assert (found["count"], found["reportingInstance"]) == (3, "other")


async def test_a_status_and_a_finalizer_are_refused_where_the_spec_changed_meanwhile(
    connection: Meddling, kubectl: Kubectl
) -> None:
    target = {"name": "none", "board": "generic-x86"}
    spec = {"suspend": True, "model": {"uri": "file:///m.onnx"}, "dataset": {"uri": "file:///d.npz"}}
    spec |= {"targets": [target], "artifacts": {"uri": "file:///artifacts"}}
    kubectl.apply({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "driver"}, "spec": spec})
    kube, name = Kube(connection), ObjectName(kubectl.namespace, "driver")

    async def refused(write: Callable[[str], Awaitable[object]], change: dict[str, Any]) -> None:
        version = kubectl.json("get", "dmsd", "driver")["metadata"]["resourceVersion"]
        connection.meddle("PATCH", lambda: kubectl("patch", "dmsd", "driver", "--type=merge", "-p", json.dumps(change)))
        with pytest.raises(ApiError, match="409"):
            await write(version)

    new_model = {"spec": {"model": {"uri": "file:///new.onnx"}}}
    await refused(lambda version: kube.patch_status(name, {"phase": "Suspended"}, version), new_model)
    finalizer = {"metadata": {"finalizers": ["example.com/backup"]}}
    await refused(lambda version: kube.set_finalizers(name, [FINALIZER], version), finalizer)
    found = kubectl.json("get", "dmsd", "driver")
    assert (found["spec"]["model"]["uri"], found["metadata"]["finalizers"]) == (
        "file:///new.onnx",
        ["example.com/backup"],
    )
    kubectl("patch", "dmsd", "driver", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))
