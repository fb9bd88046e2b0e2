"""From watches to work: what they tell fills the caches and asks for keys. How kopf is used: it writes nothing."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import kopf
from kopf import DiffBaseStorage

from ..api import labels
from .board_queue import BoardLines, is_waiting
from .boards import BoardCounts
from .caches import Caches, ObjectCache, ObjectName, Raw
from .connection import REQUEST_TIMEOUT, Connection
from .object_cache import Listing
from .observation import BoardCount
from .reflector import PAGE_SIZE, Reflector
from .watching import (
    CLIENT_TIMEOUT,
    CONNECT_TIMEOUT,
    INACTIVITY_TIMEOUT,
    RETRY_LIMIT,
    SERVER_TIMEOUT,
    Resource,
    Stream,
    WatchMonitor,
)
from .work_queue import Workers

VEHICLE_PAUSE = 1.0
"""Seconds for which changes of vehicles are collected: a rollout looks at its whole fleet, whichever vehicle moved."""


class Key(NamedTuple):
    """What is worked on: a deployment, or the node of a board."""

    kind: Literal["deployment", "node"]
    name: ObjectName

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(part for part in self.name if part)}"


class Intake:
    """Puts what the watches tell into the caches, and asks for the keys that it touches."""

    def __init__(self, caches: Caches, workers: Workers[Key]) -> None:
        self._workers = workers
        self._caches = caches
        self._by_resource: dict[Resource, ObjectCache] = {
            "deployments": caches.deployments,
            "jobs": caches.jobs,
            "pods": caches.pods,
            "nodes": caches.nodes,
            "vehicles": caches.vehicles,
        }
        self._listings: dict[Stream, Listing] = {}
        self._boards = BoardCounts(caches.nodes)
        self._lines = BoardLines(caches.pods)
        self._seen_boards: dict[str, BoardCount] = {}

    def page(self, stream: Stream, answer: Raw, is_first: bool) -> None:
        """A page of a list came. What no page of it holds is gone."""
        if is_first:
            self._listings[stream] = self._by_resource[stream.resource].listing(stream.namespace)
        listing, metadata = self._listings[stream], answer["metadata"]
        changed = listing.page(answer["items"])
        if not metadata.get("continue"):
            del self._listings[stream]
            changed += listing.finish(int(metadata["resourceVersion"]))
        if stream.resource == "vehicles" and changed:
            self._ask_for_rollouts()
            return
        for body in changed:
            self._ask(stream.resource, body)

    def changed(self, resource: Resource, body: Raw, *, deleted: bool) -> None:
        """An object changed, or is gone."""
        cache = self._by_resource[resource]
        if resource == "vehicles":
            if cache.drop(body) if deleted else cache.put(body):
                self._ask_for_rollouts()
            return
        # Before it is dropped: a pod's deployment is found through its Job. Boards are counted when one is gone.
        keys = list(self._keys(resource, body)) if deleted and resource != "nodes" else []
        name = ObjectName.of(body)
        word = cache.tag_of(name)
        if cache.drop(body) if deleted else cache.put(body):
            for key in keys or self._keys(resource, body):
                self._workers.add(key)
            now = cache.tag_of(name)
            if word != now and (is_waiting(word) or is_waiting(now)):
                for key in self._moved_in_line():
                    self._workers.add(key)

    def _ask(self, resource: Resource, body: Raw) -> None:
        for key in self._keys(resource, body):
            self._workers.add(key)

    def _ask_for_rollouts(self) -> None:
        for name in self._caches.deployments.chosen():
            self._workers.add(Key("deployment", name), VEHICLE_PAUSE)

    def _keys(self, resource: Resource, body: Raw) -> Iterator[Key]:
        match resource:
            case "deployments":
                yield Key("deployment", ObjectName.of(body))
            case "nodes":
                yield Key("node", ObjectName.of(body))
                # Deployments tell their users about boards that are missing or busy.
                if self._have_boards_changed():
                    yield from (Key("deployment", name) for name in self._caches.deployments.names())
            case "jobs" | "pods":
                if (name := self._caches.deployment_of(body)) is not None:
                    yield Key("deployment", name)

    def _moved_in_line(self) -> Iterator[Key]:
        """Deployments whose place in the line for a board is told exactly, and has changed."""
        for waiting in self._lines.moved():
            pod = self._caches.pods.get(ObjectName(waiting.namespace, waiting.name))
            if pod is not None and (name := self._caches.deployment_of(pod)) is not None:
                yield Key("deployment", name)

    def _have_boards_changed(self) -> bool:
        before, self._seen_boards = self._seen_boards, self._boards()
        return before != self._seen_boards


class _NothingToCompare(DiffBaseStorage):
    """We compare plans with the world, not objects with their past: spares copying each object at each event."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _Patience:
    """Waits between tries of a request, without end: an API server that is away must not end the operator."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1, 2, 4)
        while True:
            yield RETRY_LIMIT


def kopf_settings() -> kopf.OperatorSettings:
    """Kopf's settings; the reasons are in the reference's table of pitfalls (section 2.2)."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.client_timeout = CLIENT_TIMEOUT
    settings.watching.connect_timeout = CONNECT_TIMEOUT
    settings.watching.inactivity_timeout = INACTIVITY_TIMEOUT
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = PAGE_SIZE
    settings.networking.request_timeout = REQUEST_TIMEOUT.total
    settings.networking.connect_timeout = REQUEST_TIMEOUT.sock_connect
    settings.networking.error_backoffs = _Patience()
    settings.networking.enforce_retry_after = True
    # Seconds that kopf keeps a task, and the event as Python values, after an object's last event: memory counts.
    settings.queueing.idle_timeout = 0.1
    settings.persistence.diffbase_storage = _NothingToCompare()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.scanning.disabled = True
    return settings


def registry(connection: Connection, intake: Intake, monitor: WatchMonitor) -> kopf.OperatorRegistry:
    """Our handlers: log in, and take in the events of deployments."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return connection.login()

    @kopf.on.event(labels.GROUP, labels.VERSION, labels.PLURAL, registry=handlers)
    async def take_in(event: kopf.RawEvent, namespace: str | None, **_: Any) -> None:
        monitor.touch("deployments", namespace)
        intake.changed("deployments", event["object"], deleted=event["type"] == "DELETED")

    return handlers


def reflectors(connection: Connection, intake: Intake, monitor: WatchMonitor) -> list[Reflector]:
    """What keeps up with all that kopf does not watch."""

    def on_event(stream: Stream, body: Raw, deleted: bool) -> None:
        intake.changed(stream.resource, body, deleted=deleted)

    others = [stream for stream in monitor.streams if stream.resource != "deployments"]
    return [Reflector(stream, connection, monitor, intake.page, on_event) for stream in others]
