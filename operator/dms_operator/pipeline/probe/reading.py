"""From what was found out about a board to what stands on its node: pure functions, and few writes.

Facts change with the hardware or its software. Health changes all the time, so it is written when it changed by more
than a threshold; the condition when it changed, and as a sign of life every half hour.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ...api.labels import BOARD_CONDITION, BOARD_FACTS, BOARD_HEALTH

Raw = Mapping[str, Any]

STEP_CELSIUS = 5.0
STEP_SHARE = 0.1
"""Share by which the free room has to change."""
STEP_BYTES = 100 << 20
SIGN_OF_LIFE = timedelta(minutes=30)
LEAST_ROOM_BYTES = 256 << 20
"""Below this a benchmark's files may find no room: the models that this project is for take tens of MiB."""
FAILURES_IN_A_ROW = 3
"""Looks that fail before a board counts as unreachable: a reboot is no reason to send its work away."""
MESSAGE_LIMIT = 500

_HEALTH = ("celsius", "freeDiskBytes", "throttled")
_PASSING = ("busy",)


@dataclass(frozen=True)
class Verdict:
    """The condition: True, False or Unknown, and why."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


@dataclass(frozen=True)
class Reading:
    """What a look at the board gave: facts, or the reason for none."""

    facts: Raw | None
    verdict: Verdict


def healthy_or_not(facts: Raw, how: str, runtime: str) -> Verdict:
    """Judge a board that answered; `how` it is reached, `runtime` is what its artifacts need."""
    runtimes: Mapping[str, str] = facts.get("runtimes", {})
    if runtime not in runtimes:
        python = facts.get("python", "?")
        return Verdict("False", "RuntimeMissing", f"{how}: its Python {python} has no {runtime}: pip install {runtime}")
    room = facts.get("freeDiskBytes")
    if room is not None and room < LEAST_ROOM_BYTES:
        needed = LEAST_ROOM_BYTES >> 20
        return Verdict("False", "DiskFull", f"{how}: {room >> 20} MiB are free for benchmarks, {needed} are needed")
    return Verdict("True", "BoardHealthy", f"{how}, {runtime} {runtimes[runtime]}")


def status_patch(node: Raw, reading: Reading, now: datetime) -> dict[str, Any] | None:
    """Strategic merge patch of the node's status; None when nothing has changed enough.

    It names no resource version: it holds our own condition (merged by type) and annotations alone, so that it cannot
    undo what others write, whenever it comes. What it says is of the board, not of the node (docs/faults.md).
    """
    annotations = _annotations(node, reading)
    condition = _condition(node, reading.verdict, now)
    patch: dict[str, Any] = {}
    if annotations:
        patch["metadata"] = {"annotations": annotations}
    if condition:
        patch["status"] = {"conditions": [condition]}
    return patch or None


def _annotations(node: Raw, reading: Reading) -> dict[str, str]:
    if reading.facts is None:
        return {}
    present = node["metadata"].get("annotations") or {}
    facts = {name: value for name, value in reading.facts.items() if name not in (*_HEALTH, *_PASSING)}
    health = {name: reading.facts[name] for name in _HEALTH if name in reading.facts}
    changed = {}
    if _parsed(present.get(BOARD_FACTS)) != facts:
        changed[BOARD_FACTS] = _text(facts)
    if _moved(_parsed(present.get(BOARD_HEALTH)), health):
        changed[BOARD_HEALTH] = _text(health)
    return changed


def _moved(before: dict[str, Any] | None, after: dict[str, Any]) -> bool:
    """Whether health has changed by more than a threshold."""
    if before is None or before.keys() != after.keys():
        return True
    if before.get("throttled") != after.get("throttled"):
        return True
    warmer = float(after.get("celsius", 0.0)) - float(before.get("celsius", 0.0))
    room = int(before.get("freeDiskBytes", 0))
    more_room = int(after.get("freeDiskBytes", 0)) - room
    return abs(warmer) >= STEP_CELSIUS or abs(more_room) >= max(STEP_BYTES, STEP_SHARE * room)


def _condition(node: Raw, verdict: Verdict, now: datetime) -> dict[str, str] | None:
    conditions = (node.get("status") or {}).get("conditions") or []
    old = next((each for each in conditions if each["type"] == BOARD_CONDITION), None)
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    fresh = {
        "type": BOARD_CONDITION,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message[:MESSAGE_LIMIT],
        "lastHeartbeatTime": time,
        "lastTransitionTime": time,
    }
    if old is None:
        return fresh
    if old["status"] == verdict.status:
        fresh["lastTransitionTime"] = old.get("lastTransitionTime", time)
    same = all(old.get(name, "") == fresh[name] for name in ("status", "reason", "message"))
    return None if same and not _is_stale(old, now) else fresh


def _is_stale(condition: Raw, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(condition["lastHeartbeatTime"]) >= SIGN_OF_LIFE
    except (KeyError, ValueError, TypeError):
        return True


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: Raw) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
