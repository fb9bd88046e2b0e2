"""What the probe writes on a node, and above all when it does not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.pipeline.probe.reading import Reading, Verdict, healthy_or_not, status_patch

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
FACTS: dict[str, Any] = {
    "cpu": "Kryo", "cores": 8, "python": "3.12.3", "runtimes": {"onnxruntime": "1.32.0", "onnxruntime-qnn": "2.7.0"},
    "powerSource": "hwmon ina226: VIN", "celsius": 48.0, "freeDiskBytes": 10 << 30,
}  # fmt: skip
WELL = Verdict("True", "BoardHealthy", "reached by ssh://root@10.0.0.7, onnxruntime-qnn 2.7.0")


def node() -> dict[str, Any]:
    return {"metadata": {"name": "rack-1", "annotations": {"dms.edge/board-connection": "ssh://x"}}, "status": {}}


def written(body: dict[str, Any], facts: dict[str, Any] | None, verdict: Verdict = WELL, now: datetime = NOW) -> bool:
    """Apply the patch as the API server does; says whether there was one."""
    patch = status_patch(body, Reading(facts, verdict), now)
    if patch is None:
        return False
    body["metadata"]["annotations"] |= patch.get("metadata", {}).get("annotations", {})
    if "status" in patch:
        body["status"]["conditions"] = patch["status"]["conditions"]
    return True


def test_the_first_look_writes_facts_health_and_condition() -> None:
    body = node()
    assert written(body, FACTS)
    annotations = body["metadata"]["annotations"]
    assert json.loads(annotations["dms.edge/board-facts"])["powerSource"] == "hwmon ina226: VIN"
    assert json.loads(annotations["dms.edge/board-health"]) == {"celsius": 48.0, "freeDiskBytes": 10 << 30}
    (condition,) = body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("DMSBoardHealthy", "True", "BoardHealthy")
    assert annotations["dms.edge/board-connection"] == "ssh://x", "what users wrote stays"


@given(st.lists(st.tuples(st.floats(44, 52), st.integers(-(90 << 20), 90 << 20)), max_size=30))
def test_small_changes_write_nothing(changes: list[tuple[float, int]]) -> None:
    body = node()
    written(body, FACTS)
    for number, (celsius, room) in enumerate(changes):
        now = NOW + timedelta(seconds=number)
        facts = FACTS | {"celsius": celsius, "freeDiskBytes": (10 << 30) + room, "busy": number % 2 == 0}
        assert not written(body, facts, now=now)


@pytest.mark.parametrize(
    "change",
    [
        {"celsius": 54.0},
        {"freeDiskBytes": 8 << 30},
        {"throttled": ["cooling device cpu-cluster0 is at 2"]},
        {"kernel": "6.12"},
        {"powerSource": None},
        {"runtimes": {"onnxruntime": "1.33.0"}},
    ],
)
def test_a_change_that_matters_is_written_once(change: dict[str, Any]) -> None:
    body = node()
    written(body, FACTS)
    facts = {name: value for name, value in (FACTS | change).items() if value is not None}
    assert written(body, facts)
    assert not written(body, facts)


def test_a_board_that_went_away_keeps_its_facts_and_says_since_when() -> None:
    body = node()
    written(body, FACTS)
    gone = Verdict("False", "BoardUnreachable", "no route to host")
    assert written(body, None, gone, NOW + timedelta(minutes=5))
    (condition,) = body["status"]["conditions"]
    assert (condition["status"], condition["lastTransitionTime"]) == ("False", "2026-11-25T12:05:00Z")
    assert "Kryo" in body["metadata"]["annotations"]["dms.edge/board-facts"]
    assert not written(body, None, gone, NOW + timedelta(minutes=10))


def test_a_sign_of_life_comes_every_half_hour_and_is_no_transition() -> None:
    body = node()
    written(body, FACTS)
    assert not written(body, FACTS, now=NOW + timedelta(minutes=29))
    assert written(body, FACTS, now=NOW + timedelta(minutes=30))
    (condition,) = body["status"]["conditions"]
    assert condition["lastTransitionTime"] == "2026-11-25T12:00:00Z"
    assert condition["lastHeartbeatTime"] == "2026-11-25T12:30:00Z"


def test_a_day_of_a_quiet_board_is_some_fifty_writes() -> None:
    body, writes = node(), 0
    for minute in range(0, 24 * 60, 5):
        writes += written(body, FACTS, now=NOW + timedelta(minutes=minute))
    assert writes == 48


def test_annotations_that_somebody_spoilt_are_written_anew() -> None:
    body = node()
    body["metadata"]["annotations"] |= {"dms.edge/board-facts": "{", "dms.edge/board-health": "[]"}
    assert written(body, FACTS)
    assert not written(body, FACTS)


@pytest.mark.parametrize(
    ("change", "status", "reason", "words"),
    [
        ({}, "True", "BoardHealthy", "onnxruntime-qnn 2.7.0"),
        ({"runtimes": {"onnxruntime": "1"}}, "False", "RuntimeMissing", "has no onnxruntime-qnn: pip install"),
        ({"freeDiskBytes": 5 << 20}, "False", "DiskFull", "5 MiB are free for benchmarks, 256 are needed"),
    ],
)
def test_a_board_that_cannot_take_a_benchmark_is_not_healthy(
    change: dict[str, Any], status: str, reason: str, words: str
) -> None:
    found = healthy_or_not(FACTS | change, "reached by ssh", "onnxruntime-qnn")
    assert (found.status, found.reason) == (status, reason) and words in found.message
