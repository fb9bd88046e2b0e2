"""Events are posted beside the work, each once; what cannot be posted holds up nothing."""

import asyncio
from typing import Any

import pytest

from dms_operator.controller import announcer
from dms_operator.controller.announcer import Announcer
from dms_operator.controller.kube import ApiError


def event(reason: str) -> dict[str, Any]:
    return {"reason": reason, "involvedObject": {"namespace": "perception", "name": "driver"}}


class Server:
    """Takes events; refuses those of one reason; holds all back until it is opened."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.open = asyncio.Event()

    async def post(self, manifest: Any) -> None:
        await self.open.wait()
        if manifest["reason"] == "Refused":
            raise ApiError(500, "InternalError", "etcd is away")
        self.taken.append(manifest["reason"])


async def run_until_empty(announcer: Announcer) -> None:
    running = asyncio.create_task(announcer.run())
    async with asyncio.timeout(10):
        while announcer.depth():  # noqa: ASYNC110 - the announcer tells nobody when it is through
            await asyncio.sleep(0)
    running.cancel()


async def test_events_are_counted_until_they_are_posted() -> None:
    server = Server()
    announcer = Announcer(server.post)
    running = asyncio.create_task(announcer.run())
    for number in range(6):
        await announcer.post(event(f"Event{number}"))
    await asyncio.sleep(0)
    assert announcer.depth() == 6
    server.open.set()
    await run_until_empty(announcer)
    running.cancel()
    assert sorted(server.taken) == [f"Event{number}" for number in range(6)]


async def test_a_refused_event_is_logged_and_the_others_are_posted(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.open.set()
    announcer = Announcer(server.post)
    for reason in ("Refused", "Ready"):
        await announcer.post(event(reason))
    await run_until_empty(announcer)
    assert server.taken == ["Ready"]
    assert "event Refused about perception/driver was not posted" in caplog.text


async def test_an_event_that_finds_no_room_is_dropped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(announcer, "_WAITING_LIMIT", 1)
    full = Announcer(Server().post)
    for reason in ("First", "Second"):
        await full.post(event(reason))
    assert full.depth() == 1
    assert "event Second was dropped" in caplog.text


async def test_while_there_is_urgent_work_few_events_are_posted_and_none_is_lost() -> None:
    server, busy = Server(), True
    server.open.set()
    announcer = Announcer(server.post, lambda: busy)
    running = asyncio.create_task(announcer.run())
    for number in range(50):
        await announcer.post(event(f"Event{number}"))
    await asyncio.sleep(0.1)
    assert 0 < len(server.taken) < 10
    busy = False
    async with asyncio.timeout(10):
        while announcer.depth():  # noqa: ASYNC110 - the announcer tells nobody when it is through
            await asyncio.sleep(0.05)
    running.cancel()
    assert len(server.taken) == 50
