"""A reflector against an API server that breaks off, expires, refuses and talks nonsense."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from dms_operator.controller.caches import Raw
from dms_operator.controller.connection import Connection
from dms_operator.controller.credentials import Credentials
from dms_operator.controller.kube import ApiError
from dms_operator.controller.reflector import PAGE_SIZE, Reflector
from dms_operator.controller.watching import Stream, WatchMonitor
from dms_operator.controller.web import serving

PODS = Stream("pods", "ns")
Answer = Callable[[web.Request], web.Response]


def pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(version)}}


def listed(*pods: dict[str, Any], version: int = 10, more: str = "") -> Answer:
    body = {"metadata": {"resourceVersion": str(version), "continue": more}, "items": list(pods)}
    return lambda _: web.Response(body=orjson.dumps(body))


def watched(*events: tuple[str, dict[str, Any]], tail: bytes = b"") -> Answer:
    lines = [orjson.dumps({"type": kind, "object": body}) + b"\n" for kind, body in events]
    return lambda _: web.Response(body=b"".join(lines) + tail)


def refused(code: int, **headers: str) -> Answer:
    body = orjson.dumps({"code": code, "reason": "Injected", "message": "injected"})
    return lambda _: web.Response(
        status=code, body=body, headers={name.replace("_", "-"): headers[name] for name in headers}
    )


class Seen:
    """What a reflector asked for and handed on. The API server answers from a script, then hangs."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.asked: list[dict[str, str]] = []
        self.told: list[str] = []
        self.pauses: list[float] = []
        self.done = asyncio.Event()
        self.over = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if not self.script:
            self.done.set()
            await self.over.wait()
            return web.Response()
        return self.script.pop(0)(request)

    def page(self, stream: Stream, page: Raw, is_first: bool) -> None:
        self.told.append(
            f"{'list' if is_first else 'more'} {' '.join(one['metadata']['name'] for one in page['items'])}"
        )

    def event(self, stream: Stream, body: Raw, deleted: bool) -> None:
        self.told.append(f"{'gone' if deleted else 'seen'} {body['metadata']['name']}")

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self) -> "Seen":
        """Until the script has been told, or the reflector ends."""
        async with _reflecting(self) as reflecting:
            waiting = asyncio.ensure_future(self.done.wait())
            await asyncio.wait({waiting, reflecting}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if reflecting.done():
                reflecting.result()
        return self


@contextlib.asynccontextmanager
async def _reflecting(seen: Seen) -> AsyncIterator["asyncio.Task[None]"]:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/ns/pods", seen.answer)
    async with serving(app, "127.0.0.1", 0) as port:
        configuration = Configuration()
        configuration.host = f"http://127.0.0.1:{port}"
        monitor = WatchMonitor([PODS], seen.page, lambda: 0.0)
        connection = Connection(Credentials(configuration), lambda verb, code: None, monitor.middleware)
        task = asyncio.create_task(Reflector(PODS, connection, monitor, seen.page, seen.event, seen.pause).run())
        try:
            yield task
        finally:
            seen.over.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await connection.close()


async def test_it_lists_in_pages_and_watches_from_the_lists_version() -> None:
    seen = await Seen(listed(pod("a", 3), more="go"), listed(pod("b", 4)), watched(("DELETED", pod("a", 12)))).run()
    assert seen.told == ["list a", "more b", "gone a"]
    assert [asked.get("continue") for asked in seen.asked[:2]] == [None, "go"]
    assert {asked.get("limit") for asked in seen.asked[:2]} == {str(PAGE_SIZE)}
    assert [asked["resourceVersion"] for asked in seen.asked[2:]] == ["10", "12"]
    assert {asked["labelSelector"] for asked in seen.asked} == {PODS.selector}
    assert seen.pauses == []


async def test_a_watch_that_breaks_within_a_line_goes_on_after_the_last_whole_one() -> None:
    seen = await Seen(listed(), watched(("ADDED", pod("a", 11)), tail=b'{"type": "ADDED", "ob'), watched()).run()
    assert seen.told == ["list ", "seen a"]
    assert seen.asked[2]["resourceVersion"] == "11"


async def test_bookmarks_move_the_version_and_tell_nothing() -> None:
    seen = await Seen(listed(), watched(("BOOKMARK", {"metadata": {"resourceVersion": "40"}}))).run()
    assert seen.told == ["list "]
    assert seen.asked[-1]["resourceVersion"] == "40"


@pytest.mark.parametrize("expiry", [refused(410), watched(("ERROR", {"code": 410, "reason": "Expired"}))])
async def test_a_version_that_has_expired_is_listed_anew(expiry: Answer) -> None:
    seen = await Seen(listed(pod("a", 3)), expiry, listed(version=20)).run()
    assert seen.told == ["list a", "list "]
    assert seen.asked[-1]["resourceVersion"] == "20"


async def test_a_list_that_expires_between_its_pages_begins_anew() -> None:
    seen = await Seen(listed(pod("a", 3), more="go"), refused(410), listed(pod("b", 4))).run()
    assert seen.told == ["list a", "list b"]


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
async def test_refusals_that_may_end_are_waited_out_from_the_same_version(code: int) -> None:
    seen = await Seen(listed(), refused(code), refused(code, Retry_After="7"), watched()).run()
    assert [asked["resourceVersion"] for asked in seen.asked[1:]] == ["10"] * 4
    assert len(seen.pauses) == 2
    assert seen.pauses[0] < 2
    assert seen.pauses[1] >= 7


async def test_pauses_grow_while_nothing_comes_through_and_shrink_when_something_does() -> None:
    seen = await Seen(listed(), *[refused(500)] * 5, watched(("ADDED", pod("a", 11)), tail=b"["), refused(500)).run()
    assert seen.pauses[4] > 4 * seen.pauses[0] > 0


async def test_what_will_not_end_by_itself_ends_the_reflector() -> None:
    with pytest.raises(ApiError, match="Injected"):
        await Seen(listed(), refused(400)).run()


async def test_an_answer_that_is_no_json_is_listed_anew() -> None:
    seen = await Seen(listed(), watched(tail=b"<html>\n"), listed(pod("a", 3))).run()
    assert seen.told == ["list ", "list a"]
    assert len(seen.pauses) == 1
