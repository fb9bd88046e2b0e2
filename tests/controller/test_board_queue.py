"""Who is next on a board, and how a waiting benchmark says so without writing all the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.controller.board_queue import ORDINALS, BoardLines, Place, Waiter, lines, waiter
from dms_operator.controller.caches import Caches

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def pod(
    name: str,
    created: int = 0,
    priority: int | None = None,
    board: str = "qcs8255",
    node: str = "",
    phase: str = "Pending",
) -> dict[str, Any]:
    created_at = (START + timedelta(seconds=created)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "uid": name, "creationTimestamp": created_at, "labels": {"dms.edge/stage": "benchmark"}}
    spec = {"nodeSelector": {"dms.edge/board": board}, "nodeName": node, "priority": priority}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def words(*pods: dict[str, Any]) -> list[str]:
    return [found.word if (found := waiter(each)) else "rack-1" for each in pods]


def line(*pods: dict[str, Any]) -> list[str]:
    return [Waiter.of_word(word).name for word in lines(words(*pods)).get("qcs8255", [])]


def test_the_first_to_come_is_the_first_to_go() -> None:
    assert line(pod("late", 9), pod("early", 1), pod("middle", 5)) == ["early", "middle", "late"]


def test_a_higher_priority_goes_first() -> None:
    assert line(pod("early", 1), pod("urgent", 9, priority=100), pod("never-mind", 0, priority=-5)) == [
        "urgent", "early", "never-mind",
    ]  # fmt: skip


def test_only_benchmarks_that_wait_stand_in_line_and_each_in_its_boards_own() -> None:
    convert = pod("convert")
    convert["metadata"]["labels"]["dms.edge/stage"] = "convert"
    going = pod("going")
    going["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    pods = [pod("waits"), pod("runs", node="rack-1"), pod("done", phase="Succeeded"), convert, going]
    pods.append(pod("other", board="tda4vm"))
    assert line(*pods) == ["waits"]
    assert set(lines(words(*pods))) == {"qcs8255", "tda4vm"}


def cached(*pods: dict[str, Any]) -> Caches:
    caches = Caches()
    for number, body in enumerate(pods, 1):
        body["metadata"] |= {"resourceVersion": str(number), "namespace": "lab"}
        caches.pods.put(body)
    return caches


def test_a_pod_is_told_its_place_and_who_moved_is_told_anew() -> None:
    pods = [pod("a", 1), pod("b", 2), pod("c", 3), pod("d", 4, board="tda4vm")]
    caches = cached(*pods)
    line = BoardLines(caches.pods)
    assert [place.ahead for each in pods if (place := line.place(each))] == [0, 1, 2, 0]
    assert line.place(pod("runs", node="rack-1")) is None
    assert [each.name for each in line.moved()] == ["a", "b", "c", "d"] and line.moved() == []
    caches.pods.put(pod("last", 9) | {"metadata": pod("last", 9)["metadata"] | {"resourceVersion": "9"}})
    assert [each.name for each in line.moved()] == ["last"], "who comes last moves nobody"
    caches.pods.drop(pods[0])
    assert [each.name for each in line.moved()] == ["b", "c", "last"]


@given(st.lists(st.tuples(st.integers(-(2**31), 10**9), st.integers(0, 10**6)), max_size=20))
def test_words_sort_as_the_scheduler_does(ranks: list[tuple[int, int]]) -> None:
    pods = [pod(f"p{number:02}", created, priority) for number, (priority, created) in enumerate(ranks)]
    order = sorted(pods, key=lambda each: (-each["spec"]["priority"], each["metadata"]["creationTimestamp"]))
    ranked = [(each["spec"]["priority"], each["metadata"]["creationTimestamp"]) for each in order]
    by_name = {each["metadata"]["name"]: each for each in pods}
    found = [(by_name[n]["spec"]["priority"], by_name[n]["metadata"]["creationTimestamp"]) for n in line(*pods)]
    assert found == ranked


@pytest.mark.parametrize(
    ("ahead", "seconds", "message"),
    [
        (0, 0, "next in line for a qcs8255 board"),
        (0, 59, "next in line for a qcs8255 board"),
        (1, 200, "second in line for a qcs8255 board, waiting for 3 min"),
        (9, 3 * 3600, "tenth in line for a qcs8255 board, waiting for 2 h"),
        (10, 9 * 86400, "in line behind more than 10 others for a qcs8255 board, waiting for 7 d"),
        (733, 0, "in line behind more than 500 others for a qcs8255 board"),
    ],
)
def test_place_and_wait_are_told_in_round_figures(ahead: int, seconds: int, message: str) -> None:
    place = Place(ahead, START)
    assert place.message("qcs8255", START + timedelta(seconds=seconds)) == message


@given(st.integers(0, 20_000), st.floats(0, 3e6, allow_nan=False))
def test_the_message_stays_the_same_until_the_time_that_is_foretold(ahead: int, seconds: float) -> None:
    place, now = Place(ahead, START), START + timedelta(seconds=seconds)
    after = place.changes_after(now)
    assert after > 0
    just_before = now + timedelta(seconds=after * 0.99)
    assert place.message("x", just_before) == place.message("x", now)


def test_a_day_in_line_is_fewer_writes_than_a_page_of_them() -> None:
    place, now, writes = Place(0, START), START, 0
    while now < START + timedelta(days=1):
        now += timedelta(seconds=place.changes_after(now))
        writes += 1
    assert writes <= 13


def test_ordinals_are_told_as_far_as_a_reader_counts() -> None:
    assert ORDINALS[0] == "next" and len(ORDINALS) == 10
