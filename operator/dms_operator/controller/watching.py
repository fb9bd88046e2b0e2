"""What kopf's watch streams do, seen from its HTTP requests.

kopf's event handlers alone cannot tell that a stream is alive while nothing happens, nor which objects vanished
while it was broken (kopf lists again and reports those that are left). Both are plain to see in its requests:

- a list answer is complete: it replaces the cache of its resource and namespace;
- a healthy stream is opened again at least every `SERVER_TIMEOUT` seconds, because the server ends it then, and
  kopf itself opens it again when neither event nor bookmark came for `INACTIVITY_TIMEOUT`. So a stream that was
  neither opened nor brought an event for longer than `STALE_AFTER` is dead. That costs no request of its own.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_reqrep import ClientRequest, ClientResponse

from .caches import Raw
from .kube import deployments_path

SERVER_TIMEOUT = 300
"""Seconds after which the API server ends a watch (reference table: Flux, GAF and crate use 300 to 600)."""
CLIENT_TIMEOUT = SERVER_TIMEOUT + 10
CONNECT_TIMEOUT = 30
INACTIVITY_TIMEOUT = 70
"""Seconds; the API server sends a bookmark every 60."""
STALE_AFTER = CLIENT_TIMEOUT + 2 * CONNECT_TIMEOUT

Resource = Literal["deployments", "jobs", "pods", "nodes"]


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
            case "nodes":
                return "/api/v1/nodes"


def streams(namespaces: Collection[str]) -> list[Stream]:
    """All streams of the operator; no namespaces means all of them."""
    scopes: list[str | None] = [*namespaces] or [None]
    namespaced: list[Resource] = ["deployments", "jobs", "pods"]
    return [Stream("nodes", None), *(Stream(resource, scope) for resource in namespaced for scope in scopes)]


class WatchMonitor:
    """Follows kopf's streams: what they list, and when they last lived."""

    def __init__(
        self, watched: list[Stream], on_list: Callable[[Stream, list[Raw]], None], clock: Callable[[], float]
    ) -> None:
        self._streams = {stream.path: stream for stream in watched}
        self._on_list = on_list
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

    def touch(self, resource: Resource, namespace: str | None) -> None:
        """An event came."""
        for stream in (Stream(resource, namespace), Stream(resource, None)):
            if stream in self._alive:
                self._alive[stream] = self._clock()

    def silent(self) -> dict[str, float]:
        """Streams that are dead, with the seconds since they last lived."""
        now = self._clock()
        ages = {path: now - self._alive.get(stream, self._started) for path, stream in self._streams.items()}
        return {path: age for path, age in ages.items() if age > STALE_AFTER}

    async def middleware(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Sees each of kopf's requests and its answer."""
        response = await handler(request)
        stream = self._stream_of(request)
        if stream is not None and response.status == 404:
            # kopf would end over it; a lost connection it tries again, until the definition is installed anew.
            raise aiohttp.ClientConnectionError(f"{stream.path} is not served: is its definition installed?")
        if stream is None or response.status != 200:
            return response
        if "watch" not in request.url.query:
            # The body stays in the response, where kopf reads it again.
            answer: dict[str, Any] = await response.json()
            self._on_list(stream, answer["items"])
            self._listed.add(stream)
            if len(self._listed) == len(self._streams):
                self._synced.set()
        self._alive[stream] = self._clock()
        return response

    def _stream_of(self, request: ClientRequest) -> Stream | None:
        if request.method != "GET":
            return None
        path = request.url.path
        return next((stream for known, stream in self._streams.items() if path.endswith(known)), None)
