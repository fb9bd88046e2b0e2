"""Who is next on a board: the benchmark pods that wait for one, in the scheduler's order.

Kubernetes' scheduler takes the pod of highest priority first, then the one that was there first. Places are told per
board type; a target that asks for further node labels may have to let others pass.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from ..api import labels
from .object_cache import ObjectCache
from .text import parse_timestamp

Raw = Mapping[str, Any]

_SEPARATOR = "|"
_LOWEST = 2**31 - 1
"""More than any priority (int32; users' classes end at 10^9): the difference is never negative."""

ORDINALS = ("next", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
"""Places that are told exactly. Behind them a change of one place would write a thousand statuses for nobody."""
_ROUND_PLACES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_ROUND_SECONDS = (
    *(minutes * _MINUTE for minutes in (1, 2, 3, 5, 10, 20, 30)),
    *(hours * _HOUR for hours in (1, 2, 4, 8, 12)),
    *(days * _DAY for days in (1, 2, 3, 5, 7, 14, 30)),
)
"""Waits at which a message changes: each longer by a good part than the one before, so that waiting writes little."""


@dataclass(frozen=True)
class Place:
    """A waiting pod's place in line (0 is next), and since when it waits."""

    ahead: int
    since: datetime

    def message(self, board: str, now: datetime) -> str:
        """For the status: such as `second in line for a qcs8255 board, waiting for 5 min`."""
        waited = _told((now - self.since).total_seconds())
        return f"{_line(self.ahead)} for a {board} board" + (f", waiting for {waited}" if waited else "")

    def changes_after(self, now: datetime) -> float:
        """Seconds until the message says a longer wait; a day after the last one."""
        waited = now - self.since
        later = (timedelta(seconds=each) for each in _ROUND_SECONDS)
        return (next((each for each in later if each > waited), waited + timedelta(days=1)) - waited).total_seconds()


@dataclass(frozen=True)
class Waiter:
    """A benchmark pod that waits for a board."""

    board: str
    priority: int
    created: str
    namespace: str
    name: str

    @property
    def word(self) -> str:
        """As one word of the pods' cache, whose objects are costly to read; no name of a node begins like one.

        Sorted, words stand in the scheduler's order.
        """
        urgency = f"{_LOWEST - self.priority:010}"
        return _SEPARATOR.join(["", self.board, urgency, self.created, self.namespace, self.name])

    @classmethod
    def of_word(cls, word: str) -> "Waiter":
        """Read a word."""
        _, board, urgency, created, namespace, name = word.split(_SEPARATOR)
        return cls(board, _LOWEST - int(urgency), created, namespace, name)


def waiter(pod: Raw) -> Waiter | None:
    """A benchmark pod that waits for a board; None for one that has its node, or has ended."""
    metadata, spec, board = pod["metadata"], pod["spec"], board_of(pod)
    waiting = (pod.get("status") or {}).get("phase") in (None, "Pending") and not spec.get("nodeName")
    if board is None or not waiting or metadata.get("deletionTimestamp"):
        return None
    priority, created = int(spec.get("priority") or 0), metadata["creationTimestamp"]
    return Waiter(board, priority, created, metadata.get("namespace", ""), metadata["name"])


def board_of(pod: Raw) -> str | None:
    """The board type that a benchmark pod runs on or waits for."""
    is_benchmark = (pod["metadata"].get("labels") or {}).get(labels.STAGE) == "benchmark"
    return (pod["spec"].get("nodeSelector") or {}).get(labels.BOARD) if is_benchmark else None


def is_waiting(word: str) -> bool:
    """Whether a word of the pods' cache is that of a pod in line."""
    return word.startswith(_SEPARATOR)


def lines(words: Iterable[str]) -> dict[str, list[str]]:
    """Words of waiting pods by board type, the next one first."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for word in words:
        if is_waiting(word):
            found[word.split(_SEPARATOR, 2)[1]].append(word)
    return {board: sorted(line) for board, line in found.items()}


class BoardLines:
    """The lines for boards, put together anew only when a pod changed: asked for at every reconcile of who waits."""

    def __init__(self, pods: ObjectCache) -> None:
        self._pods = pods
        self._made_at = -1
        self._lines: dict[str, list[str]] = {}
        self._told: dict[str, list[str]] = {}

    def __call__(self) -> dict[str, list[str]]:
        """The present lines."""
        if self._made_at != self._pods.changes:
            self._lines, self._made_at = lines(self._pods.tags()), self._pods.changes
        return self._lines

    def place(self, pod: Raw) -> Place | None:
        """A pod's place; None for one that does not wait."""
        found = waiter(pod)
        if found is None:
            return None
        ahead = bisect_left(self().get(found.board, []), found.word)
        return Place(ahead, parse_timestamp(found.created))

    def moved(self) -> list[Waiter]:
        """Those whose place is told exactly and is another one than at the last call."""
        before, self._told = self._told, {board: line[: len(ORDINALS)] for board, line in self().items()}
        return [
            Waiter.of_word(word)
            for board, line in self._told.items()
            for word, other in zip_longest(line, before.get(board, [])[: len(line)])
            if word != other
        ]


def _line(ahead: int) -> str:
    if ahead < len(ORDINALS):
        return f"{ORDINALS[ahead]} in line"
    return f"in line behind more than {max(each for each in _ROUND_PLACES if each <= ahead)} others"


def _told(seconds: float) -> str:
    """The longest round time that has passed; empty in the first minute."""
    passed = max((each for each in _ROUND_SECONDS if each <= seconds), default=0)
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if passed >= unit:
            return f"{passed // unit} {name}"
    return ""
