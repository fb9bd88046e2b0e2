"""A queue of keys: each key waits at most once, is worked on by one worker at a time, and is retried with backoff.

`KeyedQueue` is the pure core, which is told the time. `Workers` is the asyncio shell around it.
"""

import asyncio
import heapq
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """Exponential waiting in seconds, spread by jitter so that many failures do not return together."""

    initial: float = 0.5
    limit: float = 300.0
    """As kopf and controller-runtime, minutes at most: the cause may be mended meanwhile."""
    jitter: float = 0.2
    """Largest share that is added."""

    def delay(self, failures: int, chance: float) -> float:
        """Waiting after a number of failures in a row (from 1); `chance` is uniform in [0, 1)."""
        doublings = min(failures - 1, 30)
        return min(self.limit, self.initial * 2.0**doublings) * (1 + self.jitter * chance)


class KeyedQueue(Generic[Key]):
    """Which key is due when. Knows no clock: every method is told `now` (seconds, monotonic)."""

    def __init__(self, backoff: Backoff | None = None, chance: Callable[[], float] = random.random) -> None:
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._pushed = 0
        self._active: dict[Key, float] = {}
        self._again: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key, now: float, delay: float = 0.0) -> None:
        """Ask for a key to be worked on after a delay; of several wishes the earliest counts."""
        waiting = self._again if key in self._active else self._due
        due = now + delay
        if due < waiting.get(key, float("inf")):
            waiting[key] = due
            if waiting is self._due:
                self._push(key, due)

    def take(self, now: float) -> Key | None:
        """The key that is due longest, or None; it is then active until `done`."""
        self._drop_outdated()
        if not self._heap or self._heap[0][0] > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._active[key] = now
        return key

    def done(self, key: Key) -> None:
        """A worker finished with a key; what was asked for meanwhile waits now."""
        del self._active[key]
        again = self._again.pop(key, None)
        if again is not None:
            self._due[key] = again
            self._push(key, again)

    def retry(self, key: Key, now: float, at_least: float = 0.0) -> float:
        """Ask for a failed key once more; gives the delay."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, self._backoff.delay(self._failures[key], self._chance()))
        self.add(key, now, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget a key's failures."""
        self._failures.pop(key, None)

    def next_due(self) -> float | None:
        """When the next key is due, or None when nothing waits."""
        self._drop_outdated()
        return self._heap[0][0] if self._heap else None

    def depth(self, now: float) -> int:
        """Number of keys that could be worked on now."""
        return sum(1 for due in self._due.values() if due <= now)

    def lag(self, now: float) -> float:
        """Seconds for which the most neglected key has been due or in work."""
        since = min([*self._due.values(), *self._active.values()], default=now)
        return max(0.0, now - since)

    def in_work(self, now: float) -> float:
        """Seconds for which the key that was taken first has been in work."""
        return max(0.0, now - min(self._active.values(), default=now))

    def _push(self, key: Key, due: float) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (due, self._pushed, key))

    def _drop_outdated(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)


class Workers(Generic[Key]):
    """Works on due keys, a bounded number of them at once."""

    def __init__(
        self,
        queue: KeyedQueue[Key],
        work: Callable[[Key], Awaitable[float | None]],
        *,
        count: int = 8,
        on_error: Callable[[Key, Exception], float] = lambda key, error: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`work` gives the seconds after which the key is due again, or None.

        `on_error` is told of every error and gives the shortest wait before the key is tried again.
        """
        self._queue = queue
        self._work = work
        self._free = count
        self._on_error = on_error
        self._clock = clock
        self._wake = asyncio.Event()
        self._started: float | None = None
        self._came_through = 0.0

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Ask for a key to be worked on."""
        self._queue.add(key, self._clock(), delay)
        self._wake.set()

    def is_busy(self) -> bool:
        """Whether a key is due that no worker has taken yet."""
        due = self._queue.next_due()
        return due is not None and due <= self._clock()

    def depth(self) -> int:
        """Number of keys that are due."""
        return self._queue.depth(self._clock())

    def lag(self) -> float:
        """Seconds for which the most neglected key has been due or in work, since `run` began."""
        now = self._clock()
        return 0.0 if self._started is None else min(self._queue.lag(now), now - self._started)

    def stall(self) -> float:
        """Seconds for which a key has been in work, or for which none came through though some are due.

        A long queue that moves is no stall: the last of 10,000 deployments that are applied at once waits for minutes.
        """
        now = self._clock()
        return max(self._queue.in_work(now), min(self.lag(), now - self._came_through))

    async def run(self) -> None:
        """Work until cancelled; what is in work then is cancelled too."""
        self._started = self._came_through = self._clock()
        async with asyncio.TaskGroup() as group:
            while True:
                while self._free and (key := self._queue.take(self._clock())) is not None:
                    self._free -= 1
                    group.create_task(self._work_on(key))
                await self._sleep()

    async def _sleep(self) -> None:
        due = self._queue.next_due() if self._free else None
        timeout = None if due is None else max(0.0, due - self._clock())
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _work_on(self, key: Key) -> None:
        try:
            delay = await self._work(key)
            self._queue.succeeded(key)
            if delay is not None:
                self._queue.add(key, self._clock(), delay)
        except Exception as error:
            at_least = self._on_error(key, error)
            delay = self._queue.retry(key, self._clock(), at_least)
            _log.warning("%s: %s; once more in %.1f s", key, error or type(error).__name__, delay)
        finally:
            self._queue.done(key)
            self._came_through = self._clock()
            self._free += 1
            self._wake.set()
