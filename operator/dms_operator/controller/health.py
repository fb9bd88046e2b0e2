"""Whether the operator still does its work: its watches live, and its queue moves."""

from collections.abc import Callable, Mapping

MAX_LAG = 180.0
"""Seconds that a key may be due or in work. A reconcile makes a handful of requests of at most 30 s each."""


class Health:
    """Answers the kubelet's questions. `silent` gives dead streams with their age, `lag` the queue's in seconds."""

    def __init__(
        self, synced: Callable[[], bool], silent: Callable[[], Mapping[str, float]], lag: Callable[[], float]
    ) -> None:
        self._synced = synced
        self._silent = silent
        self._lag = lag

    def problems(self) -> list[str]:
        """Why the process should be restarted; empty when it works."""
        found = [f"watch {path}: no sign of life for {age:.0f} s" for path, age in sorted(self._silent().items())]
        if (lag := self._lag()) > MAX_LAG:
            found.append(f"queue: a key has waited for {lag:.0f} s")
        return found

    def missing(self) -> list[str]:
        """Why the operator is not ready yet; empty when it is."""
        return [] if self._synced() else ["the first lists are not complete"]
