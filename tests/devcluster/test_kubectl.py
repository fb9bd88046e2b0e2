"""The real kubectl against the dev cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devcluster.running import Running
from devcluster.widgets import definition, widget


@pytest.fixture
async def widgets(cluster: Running) -> Running:
    await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(definition()))
    await cluster.kubectl("wait", "--for=condition=Established", "crd/widgets.demo.example", "--timeout=10s")
    return cluster


async def _apply(cluster: Running, obj: dict[str, Any], *arguments: str, code: int = 0) -> str:
    return await cluster.kubectl("apply", "-f", "-", *arguments, stdin=json.dumps(obj), code=code)


async def test_it_discovers_versions_and_resources(widgets: Running) -> None:
    assert "Server Version: v1.36.0" in await widgets.kubectl("version")
    listed = await widgets.kubectl("api-resources")
    assert "jobs" in listed and "widgets" in listed and "wd" in listed


async def test_it_applies_shows_and_deletes(widgets: Running) -> None:
    assert "created" in await _apply(widgets, widget("a"))
    assert "unchanged" in await _apply(widgets, widget("a"))
    assert "+  size: 2" in await widgets.kubectl("diff", "-f", "-", stdin=json.dumps(widget("a", size=2)), code=1)
    assert "configured" in await _apply(widgets, widget("a", size=2))
    assert await widgets.kubectl("get", "wd", "a", "-o", "jsonpath={.spec.size}") == "2"
    wide = await widgets.kubectl("get", "widgets", "-o", "wide")
    assert wide.split()[:5] == ["NAME", "PHASE", "READY", "SIZE", "AGE"]
    assert "Size:   2" in await widgets.kubectl("describe", "widget", "a")
    await widgets.kubectl("delete", "widget", "a", "--wait")
    assert "No resources found" in await widgets.kubectl("get", "widgets")


async def test_it_applies_on_the_server_and_sees_conflicts(widgets: Running) -> None:
    await _apply(widgets, widget("a"), "--server-side", "--field-manager=one")
    refused = await _apply(widgets, widget("a", size=2), "--server-side", "--field-manager=two", code=1)
    assert 'conflict with "one": .spec.size' in refused
    await _apply(widgets, widget("a", size=2), "--server-side", "--field-manager=two", "--force-conflicts")
    assert await widgets.kubectl("get", "wd", "a", "-o", "jsonpath={.spec.size}") == "2"


async def test_it_patches_labels_annotates_and_waits(widgets: Running) -> None:
    await _apply(widgets, widget("a"))
    await widgets.kubectl("label", "wd", "a", "x=y")
    await widgets.kubectl("annotate", "wd", "a", "n=v")
    await widgets.kubectl("patch", "wd", "a", "--type=merge", "-p", '{"spec":{"size":2}}')
    operations = json.dumps([{"op": "replace", "path": "/spec/size", "value": 3}])
    await widgets.kubectl("patch", "wd", "a", "--type=json", "-p", operations)
    ready = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    await widgets.kubectl("patch", "wd", "a", "--subresource=status", "--type=merge", "-p", ready)
    assert "condition met" in await widgets.kubectl("wait", "--for=condition=Ready", "wd/a", "--timeout=10s")
    shown = json.loads(await widgets.kubectl("get", "wd", "-l", "x=y", "-o", "json"))
    assert [(item["spec"]["size"], item["metadata"]["annotations"]["n"]) for item in shown["items"]] == [(3, "v")]


async def test_it_shows_why_an_object_is_refused(widgets: Running) -> None:
    assert "should be less than or equal to 10" in await _apply(widgets, widget("a", size=99), code=1)
    unknown = {**widget("a"), "spec": {"size": 1, "sizes": 2}}
    assert 'unknown field "spec.sizes"' in await _apply(widgets, unknown, code=1)


async def test_it_explains_fields(widgets: Running) -> None:
    assert "enum: red, blue" in await widgets.kubectl("explain", "widget.spec")
    assert "conditions" in await widgets.kubectl("explain", "wd", "--recursive")
    assert "backoffLimit" in await widgets.kubectl("explain", "job.spec")


async def test_a_deletion_takes_dependents_along_or_leaves_them(widgets: Running) -> None:
    for name, cascade, left in (("a", "foreground", False), ("b", "background", False), ("c", "orphan", True)):
        owner = widgets.client.create("widgets", "default", widget(name))
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        reference |= {"name": name, "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
        metadata = {"name": name, "ownerReferences": [reference]}
        configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        widgets.client.create("configmaps", "default", configmap)
        await widgets.kubectl("delete", "wd", name, f"--cascade={cascade}")
        if not left:
            await widgets.kubectl("wait", "--for=delete", f"cm/{name}", "--timeout=10s")
        assert (widgets.client.get("configmaps", "default", name) is not None) == left


async def test_a_namespace_is_emptied_and_gone(cluster: Running) -> None:
    await cluster.kubectl("create", "namespace", "n")
    await cluster.kubectl("create", "configmap", "c", "-n", "n", "--from-literal=a=b")
    await cluster.kubectl("delete", "namespace", "n", "--timeout=20s")
    assert cluster.client.list("configmaps", "n") == []


async def test_a_dry_run_writes_nothing(widgets: Running) -> None:
    assert "server dry run" in await _apply(widgets, widget("a"), "--dry-run=server")
    assert "No resources found" in await widgets.kubectl("get", "wd")


async def test_a_deployment_is_scaled(cluster: Running) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    await _apply(cluster, deployment)
    await cluster.kubectl("scale", "deployment", "d", "--replicas=3")
    assert "0/3" in await cluster.kubectl("get", "deployments")


async def test_it_creates_what_it_sends_as_protobuf(cluster: Running) -> None:
    await cluster.kubectl("create", "configmap", "c", "--from-literal=a=b")
    await cluster.kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
    await cluster.kubectl("create", "serviceaccount", "a")
    await cluster.kubectl("create", "job", "j", "--image=i:1", "--", "sh", "-c", "true")
    await cluster.kubectl("create", "deployment", "d", "--image=i:1", "--replicas=2")
    assert await cluster.kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "b"
    assert await cluster.kubectl("get", "secret", "s", "-o", "jsonpath={.data.k}") == "dg=="
    job = json.loads(await cluster.kubectl("get", "job", "j", "-o", "json"))
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["command"]) == ("i:1", ["sh", "-c", "true"])
    assert await cluster.kubectl("get", "deployment", "d", "-o", "jsonpath={.spec.replicas}") == "2"


async def test_protobuf_that_it_does_not_know_is_refused(cluster: Running) -> None:
    refused = await cluster.kubectl("create", "role", "r", "--verb=get", "--resource=pods", code=1)
    assert "apply a manifest instead" in refused
