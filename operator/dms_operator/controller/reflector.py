"""Keeps up with one resource: lists it in pages, watches from there on, and starts anew when it must.

Jobs, pods and nodes come this way; deployments come through kopf. kopf keeps a task, a queue and a record for every
object that it watches, and hands each event through its whole machinery of causes and handlers: for the ten Jobs and
pods of each deployment, of which we only take in what they show, that was a quarter of the operator's CPU and two
thirds of its memory at a restart (docs/performance.md).
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from .caches import Raw
from .connection import REQUEST_TIMEOUT, Connection
from .kube import GONE, TOO_MANY_REQUESTS, ApiError, refusal
from .watching import (
    CLIENT_TIMEOUT,
    CONNECT_TIMEOUT,
    INACTIVITY_TIMEOUT,
    RETRY_LIMIT,
    SERVER_TIMEOUT,
    Stream,
    WatchMonitor,
)
from .work_queue import Backoff

_log = logging.getLogger(__name__)
PAGE_SIZE = 100
"""Objects of a list answer, 1 MB of deployments: pages as they are read decide what a restart needs of memory."""
_PASSING = (401, 403, 404, 408, TOO_MANY_REQUESTS)
"""Refusals below 500 that may end by themselves: credentials are renewed, rights granted, definitions installed."""
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=CLIENT_TIMEOUT, sock_connect=CONNECT_TIMEOUT, sock_read=INACTIVITY_TIMEOUT)
_BACKOFF = Backoff(initial=0.5, limit=RETRY_LIMIT)


class Expired(Exception):
    """The version to go on from is not known to the API server any more: list again."""


class Reflector:
    """One stream. `on_page` takes a page of its list, `on_event` an object and whether it was deleted."""

    def __init__(
        self,
        stream: Stream,
        connection: Connection,
        monitor: WatchMonitor,
        on_page: Callable[[Stream, Raw, bool], None],
        on_event: Callable[[Stream, Raw, bool], None],
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._monitor = monitor
        self._on_page = on_page
        self._on_event = on_event
        self._pause = pause
        self._version = ""
        self._read = 0

    async def run(self) -> None:
        """Keep up until cancelled. Raises ApiError for a refusal that will not end by itself."""
        failures = 0
        while True:
            try:
                await self._list_and_watch()
                failures = 0
            except Expired:
                self._version = ""
            except (ApiError, aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
                failures = 1 if self._came_far() else failures + 1
                wait = _BACKOFF.delay(failures, random.random())
                await self._pause(max(wait, self._judge(error)))

    def _judge(self, error: Exception) -> float:
        """Seconds that the server asks us to wait; raises what will not end by itself."""
        if isinstance(error, ApiError):
            if 400 <= error.code < 500 and error.code not in _PASSING:
                raise error
            _log.warning("%s: %s", self._stream.name, error)
            return error.retry_after
        if isinstance(error, orjson.JSONDecodeError):
            self._version = ""
        _log.info("%s: the connection broke: %s", self._stream.name, error or type(error).__name__)
        return 0.0

    def _came_far(self) -> bool:
        """Whether anything was read since this was last asked."""
        before, self._read = self._read, 0
        return before > 0

    async def _list_and_watch(self) -> None:
        if not self._version:
            self._version = await self._list()
            self._read += 1
        await self._watch()

    async def _list(self) -> str:
        parameters = {"limit": str(PAGE_SIZE), **self._selector}
        is_first = True
        while True:
            page = await self._page(parameters)
            self._on_page(self._stream, page, is_first)
            is_first = False
            if not page["metadata"].get("continue"):
                self._monitor.listed(self._stream)
                return str(page["metadata"]["resourceVersion"])
            parameters["continue"] = page["metadata"]["continue"]

    async def _page(self, parameters: dict[str, str]) -> Raw:
        response = await self._connection.request("GET", self._stream.path, params=parameters, timeout=REQUEST_TIMEOUT)
        async with response:
            text = await response.read()
        if response.status != 200:
            raise _refused(response, text)
        page: Raw = orjson.loads(text)
        return page

    async def _watch(self) -> None:
        """Take in events until the server ends the watch."""
        parameters = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(SERVER_TIMEOUT),
            **self._selector,
        }
        response = await self._connection.request("GET", self._stream.path, params=parameters, timeout=_WATCH_TIMEOUT)
        async with response:
            if response.status != 200:
                raise _refused(response, await response.read())
            self._monitor.alive(self._stream)
            rest = b""
            async for piece in response.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, lines):
                    self._take(orjson.loads(line))
                self._monitor.alive(self._stream)

    def _take(self, event: Raw) -> None:
        body: Raw = event["object"]
        if event["type"] == "ERROR":
            if body.get("code") == GONE:
                raise Expired
            raise ApiError(body.get("code") or 0, body.get("reason") or "Unknown", body.get("message") or "")
        if event["type"] != "BOOKMARK":
            self._on_event(self._stream, body, event["type"] == "DELETED")
        self._version = str(body["metadata"]["resourceVersion"])
        self._read += 1

    @property
    def _selector(self) -> dict[str, str]:
        return {"labelSelector": self._stream.selector} if self._stream.selector else {}


def _refused(response: aiohttp.ClientResponse, text: bytes) -> Exception:
    return Expired() if response.status == GONE else refusal(response, text)
