"""How the process ends: soon, in order, and in any case."""

import asyncio
import faulthandler
import signal
from collections.abc import Iterable
from typing import Any

EXIT_TIMEOUT = 10.0
"""Seconds in which the process has to end; below the 30 that a kubelet gives it."""


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set the event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def end_in_any_case(seconds: float = EXIT_TIMEOUT) -> None:
    """From now on the process has so many seconds; one that hangs prints where, and ends with code 1.

    A watchdog outside of Python does it, whatever holds the event loop or a thread. SIGKILL to oneself, as kopf sends
    it, is ignored by the first process of a container.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended, however they do."""
    found = list(tasks)
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)
