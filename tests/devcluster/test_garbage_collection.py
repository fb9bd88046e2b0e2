"""Owners and dependents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.controllers.garbage import GarbageCollector
from dms_operator.devcluster.registry import Registry
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.storage import Store

Json = dict[str, Any]


@pytest.fixture
async def client() -> AsyncIterator[LocalClient]:
    local = LocalClient(Registry(Store(), Resources()))
    local.create("namespaces", None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    work = asyncio.create_task(GarbageCollector(local).run())
    yield local
    work.cancel()
    await asyncio.wait({work})
    assert work.cancelled(), work.exception()


def make(client: LocalClient, name: str, *owners: Any, blocking: bool = True, **metadata: Any) -> Any:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
        }
        for owner in owners
    ]
    for reference in references:
        reference["blockOwnerDeletion"] = blocking
    owned = {"ownerReferences": references} if references else {}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **owned, **metadata}}
    return client.create("configmaps", "n", obj)


async def settle() -> None:
    """Let the collector see and do everything: it works without waiting for time."""
    for _ in range(50):
        await asyncio.sleep(0)


def names(client: LocalClient) -> set[str]:
    return {item["metadata"]["name"] for item in client.list("configmaps", "n")}


async def test_a_deleted_owner_takes_its_dependents_along_through_generations(client: LocalClient) -> None:
    grandparent = make(client, "grandparent")
    parent = make(client, "parent", grandparent)
    make(client, "child", parent)
    make(client, "stranger")
    await settle()
    client.delete("configmaps", "n", "grandparent", propagation="Background")
    await settle()
    assert names(client) == {"stranger"}


async def test_an_object_with_a_second_living_owner_stays_and_forgets_the_first(client: LocalClient) -> None:
    first, second = make(client, "first"), make(client, "second")
    make(client, "child", first, second)
    client.delete("configmaps", "n", "first", propagation="Background")
    await settle()
    child = client.get("configmaps", "n", "child")
    assert child is not None
    assert [item["name"] for item in child["metadata"]["ownerReferences"]] == ["second"]


async def test_an_owner_that_was_never_there_is_as_good_as_deleted(client: LocalClient) -> None:
    make(client, "child", {"metadata": {"name": "ghost", "uid": "no-such-uid"}})
    await settle()
    assert names(client) == set()


async def test_a_namesake_of_the_owner_does_not_count(client: LocalClient) -> None:
    owner = make(client, "owner")
    make(client, "child", owner)
    client.delete("configmaps", "n", "owner", propagation="Background")
    make(client, "owner")
    await settle()
    assert names(client) == {"owner"}


async def test_an_owner_of_an_unknown_kind_is_not_judged(client: LocalClient) -> None:
    reference = {"apiVersion": "gone.example/v1", "kind": "Gone", "name": "x", "uid": "u"}
    metadata = {"name": "child", "ownerReferences": [reference]}
    client.create("configmaps", "n", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    await settle()
    assert names(client) == {"child"}


async def test_in_foreground_the_owner_waits_for_a_dependent_that_is_held(client: LocalClient) -> None:
    owner = make(client, "owner")
    make(client, "child", owner, finalizers=["example.com/hold"])
    await settle()
    client.delete("configmaps", "n", "owner", propagation="Foreground")
    await settle()
    assert names(client) == {"owner", "child"}
    client.patch("configmaps", "n", "child", {"metadata": {"finalizers": None}})
    await settle()
    assert names(client) == set()


async def test_in_foreground_a_dependent_that_does_not_block_is_not_waited_for(client: LocalClient) -> None:
    owner = make(client, "owner")
    make(client, "child", owner, blocking=False, finalizers=["example.com/hold"])
    await settle()
    client.delete("configmaps", "n", "owner", propagation="Foreground")
    await settle()
    assert names(client) == {"child"}


async def test_orphans_stay_and_lose_their_reference(client: LocalClient) -> None:
    owner = make(client, "owner")
    make(client, "child", owner)
    await settle()
    client.delete("configmaps", "n", "owner", propagation="Orphan")
    await settle()
    child = client.get("configmaps", "n", "child")
    assert names(client) == {"child"}
    assert child is not None
    assert "ownerReferences" not in child["metadata"]
