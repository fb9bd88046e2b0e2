"""What happens to the events of a disturbed watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import orjson

from dms_operator.devcluster import errors
from dms_operator.devcluster.faults.rules import DisturbWatch

Chunks = AsyncGenerator[bytes, None]


async def disturbed(chunks: Chunks, fault: DisturbWatch, cut: Callable[[], None]) -> Chunks:
    """The events before the fault, and what it leaves of the rest; `cut` breaks the connection."""
    events = _events(chunks)
    async with contextlib.aclosing(chunks), contextlib.aclosing(events):
        for _ in range(fault.after):
            if not (event := await anext(events, b"")):
                return
            yield event
        if fault.how == "stall":
            await (asyncio.sleep(fault.seconds) if fault.seconds else asyncio.Event().wait())
            async for event in events:
                yield event
        elif fault.how == "gone":
            status = errors.gone("too old resource version: injected fault").status
            yield b'{"type":"ERROR","object":%s}\n' % orjson.dumps(status)
        elif fault.how == "cut":
            event = await anext(events, b"")
            yield event[: len(event) // 2]
            cut()


async def _events(chunks: Chunks) -> Chunks:
    async for chunk in chunks:
        for line in chunk.splitlines(keepends=True):
            yield line
