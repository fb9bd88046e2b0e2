"""kopf: handlers, finalizer, timer and event posting, with kopf's own watching and patching."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devcluster.kopf_operator import operating, until
from devcluster.running import Running, existing
from devcluster.widgets import widget


@pytest.fixture
async def operator(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    async with operating(cluster) as calls:
        yield calls


async def test_handlers_run_once_each_over_an_objects_life(cluster: Running, operator: list[str]) -> None:
    client = cluster.client
    client.create("widgets", "default", widget("a"))
    await until(lambda: (client.get("widgets", "default", "a") or {}).get("status") == {"phase": "Created"})
    await until(lambda: bool(existing(client, "widgets", "default", "a")["metadata"].get("finalizers")))
    await until(lambda: "ticked a" in operator)
    client.patch("widgets", "default", "a", {"spec": {"size": 2}})
    await until(lambda: "updated a to 2" in operator)
    client.delete("widgets", "default", "a")
    await until(lambda: client.get("widgets", "default", "a") is None)
    assert [call for call in operator if call != "ticked a"] == ["created a", "updated a to 2", "deleted a"]


async def test_events_are_posted(cluster: Running, operator: list[str]) -> None:
    cluster.client.create("widgets", "default", widget("a"))
    await until(lambda: any(event.get("reason") == "Greeted" for event in cluster.client.list("events", "default")))
    [event] = [event for event in cluster.client.list("events", "default") if event.get("reason") == "Greeted"]
    assert (event["message"], event["involvedObject"]["name"]) == ("hello", "a")
