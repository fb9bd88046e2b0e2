"""Time and memory that a training pod may use. Training stops by itself before it is killed."""

import time
from collections.abc import Callable
from typing import ClassVar

from ...api.errors import QuantizationFailed, Retryable
from ..machine import age_seconds
from ..pod_limits import memory_limit, resident_bytes, time_limit

_SHARE = 0.9
"""Share of a limit at which training stops: what is left is for the checkpoint."""


class TimeLimitReached(Retryable):
    """Training was not done when its time was over; the next attempt goes on from the checkpoint."""

    reason: ClassVar[str] = "TimeLimitReached"


class MemoryLimitReached(Retryable):
    """Training needs more memory than the pod may use."""

    reason: ClassVar[str] = "OutOfMemory"


class Diverged(QuantizationFailed):
    """The loss grew instead of falling."""


class Limits:
    """Limits of this process."""

    def __init__(
        self,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        used_bytes: Callable[[], int] | None = None,
        elapsed: float = 0.0,
    ) -> None:
        """None means no limit; `elapsed` seconds of the limit are used up already."""
        self._seconds, self._memory = seconds, memory_bytes
        self._clock, self._used = clock, used_bytes or resident_bytes
        self._start = clock() - elapsed

    def check(self, done: str) -> None:
        """Raise TimeLimitReached or MemoryLimitReached, saying what is `done` so far."""
        elapsed = self._clock() - self._start
        if self._seconds is not None and elapsed > _SHARE * self._seconds:
            raise TimeLimitReached(
                f"training used {elapsed:.0f} of the pod's {self._seconds:.0f} seconds, and stopped after {done}",
                hint="Its checkpoint is kept: the next attempt goes on from there. Lower spec.quantization.qat.epochs, "
                "or raise the deadline of the quantize stage",
            )
        used = self._used()
        if self._memory is not None and used > _SHARE * self._memory:
            raise MemoryLimitReached(
                f"training uses {used} of the pod's {self._memory} bytes, and stopped after {done}",
                hint="Give the pods of the quantize stage more memory (a smaller batchSize than 8 holds fewer samples "
                "at a time)",
            )


def limits_from_environment() -> Limits:
    """The pod's limits. Its time began with this process: fetching and the teacher's answers have used some of it."""
    return Limits(time_limit(), memory_limit(), elapsed=age_seconds())
