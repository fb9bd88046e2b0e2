"""Whether the operator still does its work: its watches live, and its queue moves."""

from collections.abc import Callable, Mapping

MAX_STALL = 180.0
"""Seconds that a key may be in work, or that none may come through. A reconcile makes a handful of requests of at most
30 s each."""


class Health:
    """Answers the kubelet's questions. `silent` gives dead streams with their age, `stall` seconds without progress."""

    def __init__(
        self, synced: Callable[[], bool], silent: Callable[[], Mapping[str, float]], stall: Callable[[], float]
    ) -> None:
        self._synced = synced
        self._silent = silent
        self._stall = stall

    def problems(self) -> list[str]:
        """Why the process should be restarted; empty when it works."""
        found = [f"watch {path}: no sign of life for {age:.0f} s" for path, age in sorted(self._silent().items())]
        if (stall := self._stall()) > MAX_STALL:
            found.append(f"queue: nothing came through for {stall:.0f} s")
        return found

    def missing(self) -> list[str]:
        """Why the operator is not ready yet; empty when it is."""
        return [] if self._synced() else ["the first lists are not complete"]
