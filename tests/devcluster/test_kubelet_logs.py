"""Container logs as files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.kubelet.logs import ContainerLog, LogOptions, LogStore, select

SECOND = 10**9


def stored(*lines: str) -> bytes:
    return "".join(
        f"2026-01-01T00:00:0{index}.000000000Z stdout F {text}\n" for index, text in enumerate(lines)
    ).encode()


def chosen(text: bytes, **options: object) -> bytes:
    now = 1767225605 * SECOND  # 2026-01-01T00:00:05Z
    return b"".join(select(text, LogOptions(**options), now))  # type: ignore[arg-type]


def test_the_tail_is_counted_in_lines() -> None:
    assert chosen(stored("a", "b", "c"), tail_lines=2) == b"b\nc\n"
    assert chosen(stored("a"), tail_lines=0) == b""


def test_since_counts_back_from_now() -> None:
    assert chosen(stored("a", "b", "c", "d"), since_seconds=3) == b"c\nd\n"


def test_timestamps_are_put_before_each_line() -> None:
    assert chosen(stored("a"), timestamps=True) == b"2026-01-01T00:00:00.000000000Z a\n"


async def record(directory: Path, pieces: list[bytes]) -> ContainerLog:
    log, source = ContainerLog(directory / "log"), asyncio.StreamReader()
    for piece in pieces:
        source.feed_data(piece)
    source.feed_eof()
    await log.record("stdout", source)
    return log


@given(st.lists(st.binary(max_size=40_000), max_size=6))
def test_what_is_written_comes_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    log = asyncio.run(record(tmp_path_factory.mktemp("logs"), pieces))
    assert chosen(log.path.read_bytes()) == b"".join(pieces)
    log.close()


async def test_a_follower_gets_what_comes_later_and_stops_at_the_end(tmp_path: Path) -> None:
    store, source = LogStore(tmp_path), asyncio.StreamReader()
    log = store.open("n", "p", "u", "c", 0)
    writer = asyncio.create_task(log.record("stdout", source))
    follower = store.read("n", "p", "c", follow=True)
    source.feed_data(b"first\n")
    assert await anext(follower) == b"first\n"
    source.feed_data(b"second\n")
    assert await anext(follower) == b"second\n"
    source.feed_eof()
    await writer
    log.close()
    assert [piece async for piece in follower] == []


async def test_only_the_present_and_the_previous_run_are_kept(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    for run in range(3):
        store.open("n", "p", "u", "c", run).close()
    assert sorted(path.name for path in (tmp_path / "n_p_u" / "c").iterdir()) == ["1.log", "2.log"]
    assert store.find("n", "p", "c", previous=True).path.name == "1.log"


async def test_a_log_that_is_not_there_is_refused_with_the_reason(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    with pytest.raises(ApiError, match="waiting to start"):
        store.find("n", "p", "c")
    store.open("n", "p", "u", "c", 0).close()
    with pytest.raises(ApiError, match="previous terminated container"):
        store.find("n", "p", "c", previous=True)
    store.forget("n", "p", "u")
    assert not (tmp_path / "n_p_u").is_dir()
