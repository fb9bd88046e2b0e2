"""Watch requests: what is sent first, what follows, bookmarks and the end."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import orjson

from dms_operator.devcluster import errors
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.server.query import flag, number
from dms_operator.devcluster.server.selection import Predicate, selection
from dms_operator.devcluster.server.views import EventWriter
from dms_operator.devcluster.storage import Event, Record, RevisionTooOld, Store, Subscription

BOOKMARK_SECONDS = 60.0  # k8s.io/apiserver cacher defaultBookmarkFrequency
BEFORE_END_SECONDS = 2.0  # and one bookmark this long before the end
_LATE = 0.001  # seconds; asyncio's timers may fire a tick of the clock too early
DEFAULT_SECONDS = (1800, 3600)  # kube-apiserver --min-request-timeout, and up to twice that


class Watch:
    """One watch: an iterator of chunks of lines."""

    def __init__(
        self,
        store: Store,
        info: ResourceInfo,
        namespace: str | None,
        query: Mapping[str, str],
        writer: EventWriter,
    ) -> None:
        self._store = store
        self._info = info
        self._namespace = namespace
        self._selects = selection(info, query)
        self._writer = writer
        self._bookmarks = flag(query, "allowWatchBookmarks")
        self._streaming = flag(query, "sendInitialEvents")
        self._since = _revision(query.get("resourceVersion", ""))
        self._seconds = number(query, "timeoutSeconds") or random.uniform(*DEFAULT_SECONDS)
        self._bookmarked = 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Chunks of event lines until the time is over or the client fell behind."""
        replay = self._streaming or not self._since
        try:
            subscription = self._store.subscribe([self._info.storage], None if replay else self._since)
        except RevisionTooOld:
            yield self._too_old()
            return
        try:
            if replay:
                yield self._initial()
            async for chunk in self._live(subscription):
                yield chunk
        finally:
            subscription.close()

    def _too_old(self) -> bytes:
        status = errors.gone(f"too old resource version: {self._since} ({self._store.revision})").status
        return b'{"type":"ERROR","object":%s}\n' % orjson.dumps(status)

    def _initial(self) -> bytes:
        records = self._store.list(self._info.storage, self._namespace)
        lines = [self._writer.line("ADDED", record) for record in records if self._matches(record)]
        if self._streaming and self._bookmarks:
            lines.append(self._bookmark(initial=True))
        return b"".join(lines)

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        due = self._next_bookmark(loop.time(), end)
        # one timer a bookmark: one a wait would cost as much as the event that is waited for
        alarm = loop.call_at(min(due, end) + _LATE, subscription.wake)
        try:
            while not subscription.closed and (now := loop.time()) < end:
                if chunk := self._pending(subscription):
                    yield chunk
                elif now >= due:
                    if now < end - BEFORE_END_SECONDS or self._bookmarked < self._store.revision:
                        yield self._bookmark()
                    due = self._next_bookmark(now, end)
                    alarm = loop.call_at(min(due, end) + _LATE, subscription.wake)
                else:
                    await subscription.wait()
        finally:
            alarm.cancel()

    def _next_bookmark(self, now: float, end: float) -> float:
        """Every minute, and once shortly before the end."""
        closing = end - BEFORE_END_SECONDS
        if not self._bookmarks or now >= closing:
            return math.inf
        return min(now + BOOKMARK_SECONDS, closing)

    def _pending(self, subscription: Subscription) -> bytes:
        lines = []
        while (event := subscription.take()) is not None:
            lines.append(self._line(event))
        return b"".join(lines)

    def _line(self, event: Event) -> bytes:
        now = event.type != "DELETED" and self._matches(event.record)
        was = event.previous is not None and self._matches(event.previous)
        if now:
            return self._writer.line("MODIFIED" if was else "ADDED", event.record)
        if not was or event.previous is None:
            return b""
        last = event.record if event.type == "DELETED" else event.previous
        return self._writer.line("DELETED", _restamped(last, event.revision))

    def _matches(self, record: Record) -> bool:
        if self._namespace is not None and record.object["metadata"].get("namespace") != self._namespace:
            return False
        selects: Predicate | None = self._selects
        return selects is None or selects(record.object)

    def _bookmark(self, initial: bool = False) -> bytes:
        self._bookmarked = self._store.revision
        return self._writer.bookmark(self._bookmarked, initial)


def _restamped(record: Record, revision: int) -> Record:
    """The record under the revision of its deletion (or of its leaving the selection)."""
    if record.revision == revision:
        return record
    metadata = {**record.object["metadata"], "resourceVersion": str(revision)}
    return Record({**record.object, "metadata": metadata}, revision)


def _revision(text: str) -> int:
    if text and not text.isdecimal():
        reason = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise errors.ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {reason}')
    return int(text or 0)
