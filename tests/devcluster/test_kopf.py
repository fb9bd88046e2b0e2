"""kopf: handlers, finalizer, timer and event posting, with kopf's own watching and patching."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import kopf
import pytest

from devcluster.running import Running
from devcluster.widgets import GROUP, PLURAL, VERSION, definition, widget

_DEADLINE_SECONDS = 30.0


def _registry(calls: list[str]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    where = (GROUP, VERSION, PLURAL)
    kopf.on.login(registry=registry)(kopf.login_with_kubeconfig)

    @kopf.on.create(*where, registry=registry)
    async def created(name: str, patch: kopf.Patch, body: kopf.Body, **_: Any) -> None:
        calls.append(f"created {name}")
        patch.status["phase"] = "Created"
        kopf.info(body, reason="Greeted", message="hello")

    @kopf.on.update(*where, field="spec", registry=registry)
    async def updated(name: str, spec: kopf.Spec, **_: Any) -> None:
        calls.append(f"updated {name} to {spec['size']}")

    @kopf.on.delete(*where, registry=registry)
    async def deleted(name: str, **_: Any) -> None:
        calls.append(f"deleted {name}")

    @kopf.timer(*where, interval=0.2, registry=registry)
    async def ticked(name: str, **_: Any) -> None:
        if f"ticked {name}" not in calls:
            calls.append(f"ticked {name}")

    return registry


@pytest.fixture
async def operator(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    cluster.client.create("customresourcedefinitions", None, definition())
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    calls: list[str] = []
    stop = threading.Event()
    arguments = {"registry": _registry(calls), "standalone": True, "namespaces": ["default"], "stop_flag": stop}
    # a loop of its own: when it stops, kopf cancels all tasks of its loop
    running = asyncio.create_task(asyncio.to_thread(kopf.run, **arguments))
    yield calls
    stop.set()
    await running


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  # what changes has no event
            await asyncio.sleep(0.05)


async def test_handlers_run_once_each_over_an_objects_life(cluster: Running, operator: list[str]) -> None:
    client = cluster.client
    client.create("widgets", "default", widget("a"))
    await _until(lambda: (client.get("widgets", "default", "a") or {}).get("status") == {"phase": "Created"})
    await _until(lambda: bool(client.get("widgets", "default", "a")["metadata"].get("finalizers")))
    await _until(lambda: "ticked a" in operator)
    client.patch("widgets", "default", "a", {"spec": {"size": 2}})
    await _until(lambda: "updated a to 2" in operator)
    client.delete("widgets", "default", "a")
    await _until(lambda: client.get("widgets", "default", "a") is None)
    assert [call for call in operator if call != "ticked a"] == ["created a", "updated a to 2", "deleted a"]


async def test_events_are_posted(cluster: Running, operator: list[str]) -> None:
    cluster.client.create("widgets", "default", widget("a"))
    await _until(lambda: any(event.get("reason") == "Greeted" for event in cluster.client.list("events", "default")))
    [event] = [event for event in cluster.client.list("events", "default") if event.get("reason") == "Greeted"]
    assert (event["message"], event["involvedObject"]["name"]) == ("hello", "a")
