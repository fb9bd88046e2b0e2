"""The HTTP server's own behaviour: who may ask, and what a watch does at its limits."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
import yaml

from devcluster.running import Running
from devcluster.widgets import definition


async def test_it_asks_for_the_token(cluster: Running) -> None:
    url = f"{cluster.server.url}/api/v1/pods"
    connector = aiohttp.TCPConnector(ssl=cluster.server.client_context())
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        assert (response.status, (await response.json())["reason"]) == (401, "Unauthorized")


async def test_the_word_bearer_may_be_written_in_any_case(cluster: Running) -> None:
    """RFC 9110, section 11.1; the Kubernetes client writes it small inside pods."""
    async with cluster.session.get("/api/v1/pods", headers={"Authorization": f"bearer {cluster.server.token}"}) as one:
        assert one.status == 200


async def test_the_kubeconfig_is_for_its_owner_only(cluster: Running) -> None:
    assert cluster.kubeconfig.stat().st_mode & 0o077 == 0
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    assert content["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")


async def test_a_form_that_it_does_not_speak_is_not_acceptable(cluster: Running) -> None:
    async with cluster.session.get("/api/v1/pods", headers={"Accept": "application/cbor"}) as response:
        assert response.status == 406


async def test_a_watch_from_before_the_log_says_gone(tmp_path: Path) -> None:
    async with Running(tmp_path / "kubeconfig", log_size=1) as cluster:
        for name in ("a", "b", "c"):
            configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            cluster.client.create("configmaps", "default", configmap)
        async with cluster.session.get("/api/v1/configmaps?watch=1&resourceVersion=1") as response:
            [event] = [json.loads(line) for line in (await response.text()).splitlines()]
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_watch_of_a_removed_kind_ends(cluster: Running) -> None:
    cluster.client.create("customresourcedefinitions", None, definition())
    async with cluster.session.get("/apis/demo.example/v1/widgets?watch=1") as response:
        cluster.client.delete("customresourcedefinitions", None, "widgets.demo.example")
        assert await response.text() == ""
    async with cluster.session.get("/apis/demo.example/v1/widgets") as response:
        assert response.status == 404


async def test_stopping_ends_open_watches(tmp_path: Path) -> None:
    async with Running(tmp_path / "kubeconfig") as cluster:
        response = await cluster.session.get("/api/v1/pods?watch=1")
        await cluster.server.stop()
        assert await response.text() == ""


async def test_a_body_that_is_too_large_is_refused(cluster: Running) -> None:
    async with cluster.session.post("/api/v1/namespaces", data=b"x" * 4_000_000) as response:
        assert response.status == 413


async def test_the_log_of_an_unscheduled_pod_is_refused(cluster: Running) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
    cluster.client.create("pods", "default", pod)
    async with cluster.session.get("/api/v1/namespaces/default/pods/p/log") as response:
        assert (response.status, (await response.json())["message"]) == (400, "pod p does not have a host assigned")


_PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("json", [{"op": "nope"}]),
        ("json", [{"op": "replace", "path": "", "value": 3}]),
        ("json", {"metadata": {}}),
        ("merge", {"metadata": 3}),
        ("merge", [1]),
        ("apply", 3),
        ("apply", {"metadata": 3}),
    ],
)
async def test_a_nonsense_patch_is_the_clients_fault(cluster: Running, kind: str, patch: object) -> None:
    url, headers = "/api/v1/namespaces/default?fieldManager=x", {"Content-Type": _PATCHES[kind]}
    async with cluster.session.patch(url, data=json.dumps(patch), headers=headers) as response:
        assert response.status in (400, 422), await response.text()


@pytest.mark.parametrize("query", ["limit=abc", "watch=1&timeoutSeconds=x", "labelSelector=a in (", "continue=zzz"])
async def test_a_nonsense_query_is_the_clients_fault(cluster: Running, query: str) -> None:
    async with cluster.session.get(f"/api/v1/pods?{query}") as response:
        assert response.status == 400, await response.text()


async def test_a_nodes_status_takes_labels_along_and_leaves_the_spec(cluster: Running) -> None:
    """As Kubernetes' nodeStatusStrategy, which puts back the spec alone (pkg/registry/core/node/strategy.go)."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "car", "labels": {"old": "1"}}}
    cluster.client.create("nodes", None, node)
    patch = {
        "metadata": {"labels": {"ns.revision.dms.edge/driver": "abc", "old": None}},
        "spec": {"unschedulable": True},
    }
    headers = {"Content-Type": "application/merge-patch+json"}
    url = "/api/v1/nodes/car/status"
    async with cluster.session.patch(url, data=json.dumps(patch), headers=headers) as response:
        assert response.status == 200
        body = await response.json()
    assert body["metadata"]["labels"] == {"ns.revision.dms.edge/driver": "abc"}
    assert not body["spec"].get("unschedulable")
