"""The store: objects in memory, one revision counter, a bounded event log per resource, and its watchers.

A stored object is never changed in place: a write replaces it. So readers may share it, and the JSON text
of one version is made once and shared by all who watch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Object = Mapping[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]

LOG_SIZE = 10_000  # events kept per resource; a watch from before them is answered 410 Gone
EVERYTHING = "*"  # watches all resources
BACKLOG = 10_000  # events that a watcher may be behind before it is cut off


class Record:
    """One version of one object, with its JSON text made on demand."""

    __slots__ = ("_json", "object", "revision")

    def __init__(self, obj: Object, revision: int) -> None:
        self.object = obj
        self.revision = revision
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        """The object as JSON text."""
        if self._json is None:
            self._json = orjson.dumps(self.object)
        return self._json

    @property
    def item_json(self) -> bytes:
        """The same without kind and apiVersion, as items of lists are; most objects begin with both."""
        (first, one), (second, two), *_ = self.object.items()
        if {first, second} != {"apiVersion", "kind"}:
            left_out = ("apiVersion", "kind")
            return orjson.dumps({name: part for name, part in self.object.items() if name not in left_out})
        return b"{" + self.json[len(orjson.dumps({first: one, second: two})) :]


@dataclass(frozen=True, slots=True)
class Event:
    """A change: `record` after it (for DELETED the last state), `previous` before it."""

    type: EventType
    resource: str
    record: Record
    previous: Record | None
    revision: int


class RevisionTooOld(Exception):
    """The log does not reach back to the revision asked for."""


class Subscription:
    """A watcher's inbox; iterate it, and close it when done."""

    def __init__(self, store: Store, resources: frozenset[str], past: Iterable[Event]) -> None:
        self._store = store
        self.resources = resources
        self._inbox: deque[Event] = deque(past)
        self._wake = asyncio.Event()
        self.closed = False
        if self._inbox:
            self._wake.set()

    def push(self, event: Event) -> None:
        """Called by the store. A watcher that fell too far behind is cut off, as the real server does."""
        self._inbox.append(event)
        if len(self._inbox) > BACKLOG:
            self.close()
        self._wake.set()

    def take(self) -> Event | None:
        """The next event, or None when there is none now."""
        if not self._inbox:
            self._wake.clear()
            return None
        return self._inbox.popleft()

    async def wait(self) -> None:
        """Wait for an event, the end, or a call of `wake`."""
        await self._wake.wait()

    def wake(self) -> None:
        """Let who waits look around."""
        self._wake.set()

    def close(self) -> None:
        """Stop receiving."""
        if not self.closed:
            self.closed = True
            self._store.forget(self)
            self._wake.set()


@dataclass(slots=True)
class _Log:
    """The last events of one resource, and the revision of the newest event that was dropped."""

    events: deque[Event] = field(default_factory=deque)
    dropped: int = 0

    def append(self, event: Event, size: int) -> None:
        self.events.append(event)
        if len(self.events) > size:
            self.dropped = self.events.popleft().revision

    def since(self, revision: int) -> list[Event]:
        if revision < self.dropped:
            raise RevisionTooOld
        newer: deque[Event] = deque()
        for event in reversed(self.events):
            if event.revision <= revision:
                break
            newer.appendleft(event)
        return list(newer)


class Store:
    """Objects by resource, namespace ("" where cluster-scoped) and name."""

    def __init__(self, log_size: int = LOG_SIZE) -> None:
        self.revision = 1
        self._compacted = 0
        self._log_size = log_size
        self._objects: dict[str, dict[str, dict[str, Record]]] = {}
        self._logs: dict[str, _Log] = {}
        self._watchers: dict[str, set[Subscription]] = {}

    def get(self, resource: str, namespace: str, name: str) -> Record | None:
        """The current version, or None."""
        return self._objects.get(resource, {}).get(namespace, {}).get(name)

    def list(self, resource: str, namespace: str | None = None) -> list[Record]:
        """Current versions in order of namespace and name; of all namespaces when None."""
        spaces = self._objects.get(resource, {})
        chosen = sorted(spaces) if namespace is None else [namespace] if namespace in spaces else []
        return [spaces[space][name] for space in chosen for name in sorted(spaces[space])]

    def resources(self) -> Iterator[str]:
        """The resources that have had objects."""
        return iter(list(self._objects))

    def put(self, resource: str, obj: dict[str, Any]) -> Record:
        """Store a new object or version; sets `metadata.resourceVersion` on `obj`, which now belongs to the store."""
        metadata = obj["metadata"]
        space = self._objects.setdefault(resource, {}).setdefault(metadata.get("namespace", ""), {})
        previous = space.get(metadata["name"])
        record = self._stamped(obj)
        space[metadata["name"]] = record
        self._announce(Event("MODIFIED" if previous else "ADDED", resource, record, previous, record.revision))
        return record

    def remove(self, resource: str, obj: Object) -> Record:
        """Remove the object; `obj` is its last state, announced under a new revision."""
        metadata = obj["metadata"]
        previous = self._objects[resource][metadata.get("namespace", "")].pop(metadata["name"])
        record = self._stamped({**obj, "metadata": dict(metadata)})
        self._announce(Event("DELETED", resource, record, previous, record.revision))
        return record

    def subscribe(self, resources: Iterable[str] | None, since: int | None = None) -> Subscription:
        """Watch `resources` (None: all) from now or from a revision on; raises RevisionTooOld."""
        wanted = frozenset([EVERYTHING] if resources is None else resources)
        past: list[Event] = []
        if since is not None and since < self._compacted:
            raise RevisionTooOld
        if since is not None:
            past = [event for name in wanted if name in self._logs for event in self._logs[name].since(since)]
            past.sort(key=lambda event: event.revision)
        subscription = Subscription(self, wanted, past)
        for name in wanted:
            self._watchers.setdefault(name, set()).add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Drop a watcher."""
        for name in subscription.resources:
            self._watchers[name].discard(subscription)

    def compact(self) -> None:
        """Forget all past events: watches from an earlier revision raise RevisionTooOld."""
        self._compacted = self.revision
        self._logs.clear()

    def close_watches(self, resource: str | None = None) -> None:
        """End the watches of a resource, or all."""
        names = list(self._watchers) if resource is None else [resource]
        for name in names:
            for subscription in list(self._watchers.get(name, ())):
                subscription.close()

    def _stamped(self, obj: dict[str, Any]) -> Record:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        return Record(obj, self.revision)

    def _announce(self, event: Event) -> None:
        self._logs.setdefault(event.resource, _Log()).append(event, self._log_size)
        for name in (event.resource, EVERYTHING):
            for subscription in list(self._watchers.get(name, ())):
                subscription.push(event)
