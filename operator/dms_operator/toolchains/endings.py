"""How vendors' programs end for reasons outside of them: killed, no memory, disk or time. All may be retried."""

import re
import signal
from collections.abc import Sequence

from ..api.errors import ConverterKilled, DMSError, StoreFull

_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_SHELL_SIGNAL_BASE = 128
"""A program that is a shell script reports its child's signal as 128 + number."""
_NO_SPACE = re.compile(r"No space left on device", re.IGNORECASE)
_NO_MEMORY = re.compile(
    r"std::bad_alloc|MemoryError|can(no|')t allocate memory|failed to allocate memory|alloc failed", re.IGNORECASE
)
_LONGEST = 400


def signal_of(returncode: int) -> signal.Signals | None:
    """The signal that ended a program, or its shell's child; None when it ended by itself."""
    number = -returncode if returncode < 0 else returncode - _SHELL_SIGNAL_BASE
    try:
        return signal.Signals(number)
    except ValueError:
        return None


def is_lack_of_memory(text: str) -> bool:
    """Whether a native library's message says that it wanted more memory than there is."""
    return _NO_MEMORY.search(text) is not None


def cause_outside(what: str, returncode: int, lines: Sequence[str]) -> DMSError | None:
    """The error of `what` when it failed for such a reason, by its code and what it printed; None otherwise."""
    killed = signal_of(returncode)
    if killed in _FROM_OUTSIDE:
        hint = "If it happens again, give the stage more memory"
        return ConverterKilled(f"{what} was killed by {killed.name}", hint=hint)
    if any(_NO_SPACE.search(line) for line in lines):
        return StoreFull(f"no space is left in the pod's scratch space for {what}", hint="Give the stage more of it")
    line = next(filter(is_lack_of_memory, lines), None) if returncode else None
    if line is not None:
        return ConverterKilled(f"{what} ran out of memory: {line[:_LONGEST]}", hint="Give the stage more memory")
    return None


def timed_out(what: str, seconds: float, option: str) -> DMSError:
    """The error of `what` that was ended after so many seconds."""
    return ConverterKilled(
        f"{what} did not finish within {seconds:g} s and was stopped",
        hint=f"Give the stage more CPU, or raise the option {option}",
    )
