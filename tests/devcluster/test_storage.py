from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.devcluster.storage import RevisionTooOld, Store, Subscription


def _obj(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n"}, **more}


def _drain(subscription: Subscription) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    while (event := subscription.take()) is not None:
        seen.append((event.type, event.record.object["metadata"]["name"]))
    return seen


def test_every_write_gets_the_next_revision() -> None:
    store = Store()
    first, second = store.put("pods", _obj("a")), store.put("jobs", _obj("b"))
    gone = store.remove("pods", first.object)
    assert first.revision < second.revision < gone.revision
    assert gone.object["metadata"]["resourceVersion"] == str(gone.revision)


async def test_a_watch_sees_what_happens_after_its_revision() -> None:
    store = Store()
    store.put("pods", _obj("a"))
    since = store.revision
    store.put("pods", _obj("a", x=1))
    subscription = store.subscribe(["pods"], since)
    store.put("jobs", _obj("other"))
    store.remove("pods", store.put("pods", _obj("b")).object)
    assert _drain(subscription) == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "b")]


async def test_a_revision_that_the_log_dropped_is_too_old() -> None:
    store = Store(log_size=2)
    since = store.revision
    for name in "abc":
        store.put("pods", _obj(name))
    with pytest.raises(RevisionTooOld):
        store.subscribe(["pods"], since)
    assert _drain(store.subscribe(["pods"], since + 1)) == [("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_of_everything_sees_resources_that_come_later() -> None:
    store = Store()
    subscription = store.subscribe(None)
    store.put("widgets.demo.example", _obj("a"))
    assert _drain(subscription) == [("ADDED", "a")]


async def test_a_closed_watch_wakes_its_reader_and_gets_nothing_more() -> None:
    store = Store()
    subscription = store.subscribe(["pods"])
    store.close_watches()
    store.put("pods", _obj("a"))
    await asyncio.wait_for(subscription.wait(), 10)
    assert subscription.closed and _drain(subscription) == []


def test_the_json_text_of_a_version_is_made_once() -> None:
    record = Store().put("pods", _obj("a"))
    assert record.json is record.json


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_replaying_the_log_gives_the_present_objects(steps: list[tuple[str, bool]]) -> None:
    store = Store()
    since = store.revision
    for name, remove in steps:
        record = store.get("pods", "n", name)
        if remove and record:
            store.remove("pods", record.object)
        elif not remove:
            store.put("pods", _obj(name))
    state: dict[str, str] = {}
    subscription = store.subscribe(["pods"], since)
    while (event := subscription.take()) is not None:
        metadata = event.record.object["metadata"]
        if event.type == "DELETED":
            del state[metadata["name"]]
        else:
            state[metadata["name"]] = metadata["resourceVersion"]
    present = [record.object["metadata"] for record in store.list("pods")]
    assert state == {metadata["name"]: metadata["resourceVersion"] for metadata in present}
