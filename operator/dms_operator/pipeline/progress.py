"""Progress lines on standard output; the command line draws bars from them."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

Progress = Callable[[str, int, int], None]
"""Called with (step, done, total)."""

_SECONDS_BETWEEN_LINES = 0.5


class ProgressPrinter:
    """Prints `@progress <step> <done>/<total>` once in `seconds` at most; a step's first and last line always."""

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = _SECONDS_BETWEEN_LINES,
    ) -> None:
        self._seconds = seconds
        self._stream = stream or sys.stdout
        self._clock = clock
        self._step = ""
        self._printed_at = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report that `done` of `total` units of a step (one word) are done."""
        now = self._clock()
        if step == self._step and done < total and now - self._printed_at < self._seconds:
            return
        self._step, self._printed_at = step, now
        print(f"@progress {step} {done}/{total}", file=self._stream, flush=True)


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""
