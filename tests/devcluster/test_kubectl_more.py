"""More of the real kubectl: output forms, patches, watches, edits, permissions, protobuf as it sends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.running import Running, _environment, existing
from devcluster.widgets import definition, widget
from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.server import protobuf


@pytest.fixture
async def widgets(cluster: Running) -> Running:
    cluster.client.create("customresourcedefinitions", None, definition())
    cluster.client.create("widgets", "default", widget("a", labels={"x": "y"}))
    return cluster


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("name", "widget.demo.example/a\n"),
        ("jsonpath={.items[*].spec.size}", "1"),
        ("custom-columns=N:.metadata.name,S:.spec.size", "N     S\na     1\n"),
        ("go-template={{range .items}}{{.metadata.name}}{{end}}", "a"),
    ],
)
async def test_it_gets_in_short_forms(widgets: Running, form: str, expected: str) -> None:
    assert await widgets.kubectl("get", "widgets", "-o", form) == expected


async def test_it_gets_documents_and_tables(widgets: Running) -> None:
    as_json = json.loads(await widgets.kubectl("get", "widget", "a", "-o", "json"))
    as_yaml = yaml.safe_load(await widgets.kubectl("get", "widget", "a", "-o", "yaml"))
    assert as_json == as_yaml and as_json["spec"]["size"] == 1
    wide = await widgets.kubectl("get", "wd", "-A", "-o", "wide", "--show-labels", "--no-headers")
    assert wide.split()[:2] == ["default", "a"] and "x=y" in wide
    assert "x=y" in await widgets.kubectl("get", "wd", "-o", "wide", "--show-labels", "--sort-by=.spec.size")
    assert "NotFound" in await widgets.kubectl("get", "wd", "b", code=1)
    assert await widgets.kubectl("get", "wd", "b", "--ignore-not-found") == ""


async def test_it_edits_with_the_editor_of_the_user(
    widgets: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor"
    script.write_text("#!/bin/sh\nsed -i 's/size: 1/size: 4/' \"$1\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", str(script))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where kubectl keeps a change that was refused
    assert "widget.demo.example/a edited" in await widgets.kubectl("edit", "widget", "a")
    assert existing(widgets.client, "widgets", "default", "a")["spec"]["size"] == 4
    script.write_text("#!/bin/sh\nsed -i 's/size: 4/size: 99/' \"$1\"\n")
    await widgets.kubectl("edit", "widget", "a", code=1)
    assert existing(widgets.client, "widgets", "default", "a")["spec"]["size"] == 4


async def test_everybody_may_do_everything(cluster: Running) -> None:
    assert "yes" in await cluster.kubectl("auth", "can-i", "create", "jobs.batch", "-n", "default")
    assert "yes" in await cluster.kubectl("auth", "can-i", "get", "/metrics")
    assert "*.*" in await cluster.kubectl("auth", "can-i", "--list")
    assert "dms-devcluster" in await cluster.kubectl("auth", "whoami")


async def test_it_deletes_all_of_a_kind(widgets: Running) -> None:
    widgets.client.create("widgets", "default", widget("b"))
    widgets.client.create("configmaps", "default", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})
    deleted = await widgets.kubectl("delete", "widgets,configmaps", "--all")
    assert '"a" deleted' in deleted and '"b" deleted' in deleted and '"c" deleted' in deleted
    assert not widgets.client.list("widgets", "default")


async def test_it_deletes_by_label_and_all_at_once(widgets: Running) -> None:
    widgets.client.create("widgets", "default", widget("b"))
    await widgets.kubectl("delete", "widgets", "-l", "x=y")
    assert [item["metadata"]["name"] for item in widgets.client.list("widgets")] == ["b"]
    await widgets.kubectl("delete", "--raw", "/apis/demo.example/v1/namespaces/default/widgets")
    assert not widgets.client.list("widgets")


@asynccontextmanager
async def _following(cluster: Running, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """The output of a kubectl that does not end by itself."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", str(cluster.kubeconfig), *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=_environment(cluster.kubeconfig.parent),
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def test_it_watches(widgets: Running) -> None:
    async with asyncio.timeout(20), _following(widgets, "get", "wd", "--watch", "-o", "wide") as output:
        assert b"NAME" in await output.readline()
        assert b"a" in await output.readline()
        widgets.client.patch("widgets", "default", "a", {"spec": {"size": 3}})
        assert b" 3 " in await output.readline()


async def test_it_watches_the_kinds_of_events(widgets: Running) -> None:
    watching = ("get", "wd", "--watch-only", "--output-watch-events")
    async with asyncio.timeout(20), _following(widgets, *watching) as output:
        for size in range(2, 1_000):  # until the watch is there
            widgets.client.patch("widgets", "default", "a", {"metadata": {"annotations": {"n": str(size)}}})
            try:
                assert b"EVENT" in await asyncio.wait_for(output.readline(), 0.2)
                break
            except TimeoutError:
                continue
        assert b"MODIFIED" in await output.readline()


async def test_it_shows_events_of_an_object(widgets: Running) -> None:
    owner = widgets.client.get("widgets", "default", "a")
    assert owner is not None
    about = {name: owner[name] for name in ("apiVersion", "kind")} | {"name": "a", "namespace": "default"}
    about["uid"] = owner["metadata"]["uid"]
    event = {
        **{"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a.1"}, "involvedObject": about},
        **{"reason": "Greeted", "message": "hello", "type": "Normal", "source": {"component": "me"}},
        **{"firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 2},
    }
    widgets.client.create("events", "default", event)
    assert "Greeted" in await widgets.kubectl("events", "--for", "widget.demo.example/a")
    assert "hello" in await widgets.kubectl("describe", "widget", "a")
    assert "No events" in await widgets.kubectl("events", "--for", "widget.demo.example/b")


async def test_it_patches_built_in_objects_strategically(cluster: Running) -> None:
    await cluster.kubectl("create", "deployment", "d", "--image=i:1")
    more = {"spec": {"template": {"spec": {"containers": [{"name": "second", "image": "j:1"}]}}}}
    await cluster.kubectl("patch", "deployment", "d", "-p", json.dumps(more))
    await cluster.kubectl("set", "image", "deployment/d", "i=i:2")
    images = await cluster.kubectl("get", "deploy", "d", "-o", "jsonpath={..image}")
    assert set(images.split()) == {"i:2", "j:1"}


def _sent(name: str) -> bytes:
    """A request body that kubectl 1.37 sent, captured by `python tests/devcluster/capture.py`."""
    captured: dict[str, str] = json.loads((Path(__file__).parent / "kubectl_protobuf.json").read_text())
    return bytes.fromhex(captured[name])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
        ("configmap", {"data": {"a": "b", "c": "d"}}),
        ("secret", {"data": {"k": "dg=="}}),
        ("serviceaccount", {"kind": "ServiceAccount", "metadata": {"name": "s"}}),
        ("deployment", {"apiVersion": "apps/v1", "kind": "Deployment"}),
    ],
)
def test_protobuf_is_read_as_kubectl_sends_it(name: str, expected: dict[str, Any]) -> None:
    decoded = protobuf.decode(_sent(name))
    assert {key: _without_empty(decoded[key]) for key in expected} == expected


def test_a_job_in_protobuf_keeps_its_command() -> None:
    pod = protobuf.decode(_sent("job"))["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["containers"][0]["command"] == ["sh", "-c", "true"]


def test_a_broken_protobuf_is_refused() -> None:
    whole = _sent("deployment")
    for end in range(len(whole)):
        try:
            protobuf.decode(whole[:end])
        except ApiError as refusal:
            assert refusal.code == 415


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty(part) for name, part in value.items() if part not in ({}, [], "")}
    return value
