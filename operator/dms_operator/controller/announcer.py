"""Posts events beside the work: they are hints for people, and hold up nothing.

A deployment has more events than status writes. While deployments wait for their next step, few are posted; the others
follow when there is time.
"""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable

import orjson

from .caches import Raw
from .kube import ApiError

_log = logging.getLogger(__name__)
_WAITING_LIMIT = 10_000
"""Events of some 1,000 deployments at once, about 4 MB; more are dropped, as client-go drops those above 1,000."""
_AT_ONCE = 4
_PAUSE_WHILE_BUSY = 0.5
"""Seconds between two posts of one poster: eight events a second in all."""
_DROPS_PER_LOG_LINE = 1000


class Announcer:
    """A bounded queue of events."""

    def __init__(self, send: Callable[[Raw], Awaitable[None]], is_busy: Callable[[], bool] = lambda: False) -> None:
        """`send` posts an event and may raise ApiError; `is_busy` says whether there is more urgent work."""
        self._send = send
        self._is_busy = is_busy
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_LIMIT)
        self._sending = 0
        self._dropped = 0

    async def post(self, event: Raw) -> None:
        """Have an event posted soon; one that finds no room is dropped, and logged."""
        try:
            self._waiting.put_nowait(_packed(event))
        except asyncio.QueueFull:
            if self._dropped % _DROPS_PER_LOG_LINE == 0:
                _log.warning("event %s was dropped: %d others wait", event["reason"], _WAITING_LIMIT)
            self._dropped += 1

    def depth(self) -> int:
        """Events that are not posted yet."""
        return self._waiting.qsize() + self._sending

    async def run(self) -> None:
        """Post until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            event = _unpacked(await self._waiting.get())
            self._sending += 1
            try:
                await self._send(event)
            except ApiError as error:
                _log.warning("event %s about %s was not posted: %s", event["reason"], _about(event), error)
            finally:
                self._sending -= 1
            if self._is_busy():
                await asyncio.sleep(_PAUSE_WHILE_BUSY)


def _packed(event: Raw) -> bytes:
    """A twentieth of the memory of the same event as Python values, half of that of its text; 20 microseconds."""
    return zlib.compress(orjson.dumps(event), 1)


def _unpacked(packed: bytes) -> Raw:
    event: Raw = orjson.loads(zlib.decompress(packed))
    return event


def _about(event: Raw) -> str:
    reference = event["involvedObject"]
    return f"{reference.get('namespace', '')}/{reference['name']}"
