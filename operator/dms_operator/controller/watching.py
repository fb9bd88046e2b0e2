"""The streams that the operator lists and watches, and when each last gave a sign of life.

A healthy stream is opened again at least every `SERVER_TIMEOUT` seconds, because the server ends it then, and when
neither event nor bookmark came for `INACTIVITY_TIMEOUT`. So one that was neither opened nor brought an event for
longer than `STALE_AFTER` is dead.

Of kopf's stream, that of the deployments, this is seen in its HTTP requests: its event handlers cannot tell that a
stream is alive while nothing happens, nor which objects vanished while it was broken (kopf lists again, and reports
those that are left). What kopf lists is taken in here, and kopf itself is told of none: it reports what changes then.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import aiohttp
import orjson
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_reqrep import ClientRequest, ClientResponse

from ..api import labels
from .caches import Raw
from .kube import deployments_path

SERVER_TIMEOUT = 300
"""Seconds after which the API server ends a watch (reference table: Flux, GAF and crate use 300 to 600)."""
CLIENT_TIMEOUT = SERVER_TIMEOUT + 10
CONNECT_TIMEOUT = 30
INACTIVITY_TIMEOUT = 70
"""Seconds; the API server sends a bookmark every 60."""
STALE_AFTER = CLIENT_TIMEOUT + 2 * CONNECT_TIMEOUT

RETRY_LIMIT = 5.0
"""Longest pause, in seconds, between two tries to open a stream: four requests do no API server harm, and what was
missed meanwhile is not worked on."""

Resource = Literal["deployments", "jobs", "pods", "nodes", "vehicles"]
"""Vehicles are nodes as well, by another label: a board is no vehicle."""


@dataclass(frozen=True)
class Stream:
    """One list-and-watch of a resource, in one namespace or in all (None)."""

    resource: Resource
    namespace: str | None

    @property
    def path(self) -> str:
        """Path of its requests."""
        within = f"/namespaces/{self.namespace}" if self.namespace else ""
        match self.resource:
            case "deployments":
                return deployments_path(self.namespace)
            case "jobs":
                return f"/apis/batch/v1{within}/jobs"
            case "pods":
                return f"/api/v1{within}/pods"
            case "nodes" | "vehicles":
                return "/api/v1/nodes"

    @property
    def selector(self) -> str:
        """Label selector of its requests."""
        match self.resource:
            case "deployments":
                return ""
            case "jobs" | "pods":
                return f"{labels.MANAGED_BY}={labels.MANAGER}"
            case "nodes":
                return labels.BOARD
            case "vehicles":
                return labels.VEHICLE

    @property
    def name(self) -> str:
        """How it is told from all others: boards and vehicles have one path."""
        return f"{self.path}?labelSelector={self.selector}" if self.resource == "vehicles" else self.path


def streams(namespaces: Collection[str]) -> list[Stream]:
    """All streams of the operator; no namespaces means all of them."""
    scopes: list[str | None] = [*namespaces] or [None]
    namespaced: list[Resource] = ["deployments", "jobs", "pods"]
    of_nodes = [Stream("nodes", None), Stream("vehicles", None)]
    return [*of_nodes, *(Stream(resource, scope) for resource in namespaced for scope in scopes)]


class WatchMonitor:
    """Knows which streams have been listed, and when each last lived."""

    def __init__(
        self, watched: list[Stream], on_page: Callable[[Stream, Raw, bool], None], clock: Callable[[], float]
    ) -> None:
        """`on_page` takes the pages of what kopf lists; the last argument says whether a page is the first."""
        self.streams = watched
        self._by_path = {stream.path: stream for stream in watched}
        self._on_page = on_page
        self._clock = clock
        self._started = clock()
        self._alive: dict[Stream, float] = {}
        self._listed: set[Stream] = set()
        self._synced = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether every stream has been listed once."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until every stream has been listed once: nothing may be planned on half a picture."""
        await self._synced.wait()

    def alive(self, stream: Stream) -> None:
        """A stream was opened, or brought an event."""
        self._alive[stream] = self._clock()

    def listed(self, stream: Stream) -> None:
        """The last page of a stream's list came."""
        self.alive(stream)
        self._listed.add(stream)
        if len(self._listed) == len(self.streams):
            self._synced.set()

    def touch(self, resource: Resource, namespace: str | None) -> None:
        """An event came, by whichever stream of the resource covers the namespace."""
        for stream in (Stream(resource, namespace), Stream(resource, None)):
            if stream in self._alive:
                self.alive(stream)

    def silent(self) -> dict[str, float]:
        """Streams that are dead, with the seconds since they last lived."""
        now = self._clock()
        ages = {stream.name: now - self._alive.get(stream, self._started) for stream in self.streams}
        return {name: age for name, age in ages.items() if age > STALE_AFTER}

    async def middleware(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Sees each of kopf's requests and its answer."""
        response = await handler(request)
        stream = self._stream_of(request)
        if stream is not None and response.status == 404:
            # kopf would end over it; a lost connection it tries again, until the definition is installed anew.
            raise aiohttp.ClientConnectionError(f"{stream.path} is not served: is its definition installed?")
        if stream is not None and response.status == 401:
            # kopf would log in again at once, and again, and close its session each time: it shall wait instead.
            raise aiohttp.ClientConnectionError(f"{stream.path}: the credentials are refused")
        if stream is not None and response.status == 410 and "watch" not in request.url.query:
            # The list's next page has expired: kopf asks for the whole list again after this error alone.
            raise aiohttp.ClientPayloadError(f"{stream.path}: the list expired before its last page")
        if stream is None or response.status != 200:
            return response
        if "watch" in request.url.query:
            self.alive(stream)
        else:
            page = orjson.loads(await response.read())
            self._on_page(stream, page, "continue" not in request.url.query)
            if not page["metadata"].get("continue"):
                self.listed(stream)
            # kopf would read them once more, and make a task and a record of each (docs/performance.md).
            response._body = orjson.dumps(page | {"items": []})
        return response

    def _stream_of(self, request: ClientRequest) -> Stream | None:
        if request.method != "GET":
            return None
        path = request.url.path
        return next((stream for known, stream in self._by_path.items() if path.endswith(known)), None)
