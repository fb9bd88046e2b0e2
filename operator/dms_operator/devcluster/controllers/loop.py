"""The loop that every controller runs in: watch, queue keys, reconcile each, try again later if it fails."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.errors import ApiError

from .job_failure import Backoff
from .meta import Object

Key = tuple[str, ...]
_log = logging.getLogger(__name__)


class Controller(ABC):
    """Reconciles keys that changes of the watched resources name. Several changes of a key cost one reconcile."""

    watched: Iterable[str] | None = ()
    # client-go workqueue.DefaultControllerRateLimiter: 5 ms doubling to 1000 s
    retry = Backoff(0.005, 1000.0)

    def __init__(self, client: LocalClient) -> None:
        self.client = client
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._alarms: dict[Key, asyncio.TimerHandle] = {}

    @abstractmethod
    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """Return the keys that a change concerns."""

    @abstractmethod
    def reconcile(self, key: Key) -> float | None:
        """Bring one key to its wanted state; return the seconds after which to look again. May raise ApiError."""

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._follow())
                loops.create_task(self._work())
        finally:
            for alarm in self._alarms.values():
                alarm.cancel()

    def enqueue(self, key: Key) -> None:
        """Ask for a reconcile."""
        if key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)

    async def _follow(self) -> None:
        while True:  # the store ends a watch that has fallen behind
            async for change, resource, obj in self.client.watch(self.watched):
                for key in self.keys(change, resource, obj):
                    self.enqueue(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            self._process(key)
            await asyncio.sleep(0)

    def _process(self, key: Key) -> None:
        try:
            delay = self.reconcile(key)
            self._failures.pop(key, None)
        except ApiError as problem:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = self.retry.delay(failures)
            _log.debug("%s of %s was refused, again in %s s: %s", type(self).__name__, key, delay, problem)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = self.retry.delay(failures)
            _log.exception("%s of %s failed, again in %s s", type(self).__name__, key, delay)
        self._set_alarm(key, delay)

    def _set_alarm(self, key: Key, delay: float | None) -> None:
        previous: Any = self._alarms.pop(key, None)
        if previous is not None:
            previous.cancel()
        if delay is not None:
            self._alarms[key] = asyncio.get_running_loop().call_later(delay, self._ring, key)

    def _ring(self, key: Key) -> None:
        self._alarms.pop(key, None)
        self.enqueue(key)
