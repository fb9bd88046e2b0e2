"""Container logs: one file per run of a container, each line as `<RFC3339Nano> <stream> <F|P> <text>` (CRI format)."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dms_operator.devcluster.errors import bad_request

# containerd cuts longer lines in pieces (plugins.cri.max_container_log_line_size).
_LONGEST_LINE = 16 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class LogOptions:
    """What part of a log is wanted, as in PodLogOptions."""

    tail_lines: int | None = None
    since_seconds: float | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


def stamp(nanoseconds: int) -> bytes:
    """Write a time as RFC3339Nano in UTC."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{fraction:09d}Z").encode()


class ContainerLog:
    """The log of one run of a container; readers may follow it until it is closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._change = asyncio.Event()

    async def record(self, stream: str, source: asyncio.StreamReader) -> None:
        """Copy a stream into the log until it ends."""
        rest = b""
        while data := await source.read(_CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._append(stream, line, whole=True)
            while len(rest) >= _LONGEST_LINE:
                self._append(stream, rest[:_LONGEST_LINE], whole=False)
                rest = rest[_LONGEST_LINE:]
        if rest:
            self._append(stream, rest, whole=False)

    def _append(self, stream: str, text: bytes, *, whole: bool) -> None:
        for start in range(0, max(len(text), 1), _LONGEST_LINE):
            piece = text[start : start + _LONGEST_LINE]
            last = start + _LONGEST_LINE >= len(text)
            mark = b"F" if whole and last else b"P"
            self._file.write(b" ".join((stamp(time.time_ns()), stream.encode(), mark, piece)) + b"\n")
        self._wake()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def close(self) -> None:
        """End the log; followers get what is left and stop."""
        self.closed = True
        self._file.close()
        self._wake()

    @property
    def change(self) -> asyncio.Event:
        """Set when something is added next, or the log is closed."""
        return self._change

    def tail_message(self, lines: int, limit: int) -> str:
        """Return the last lines, at most `limit` bytes: a termination message by FallbackToLogsOnError."""
        text = b"".join(render(line, False) for line in _lines(self.path.read_bytes())[-lines:])
        return text[-limit:].decode(errors="replace")


def render(line: bytes, timestamps: bool) -> bytes:
    """Return a stored line as a reader sees it."""
    moment, _, mark, text = line.split(b" ", 3)
    head = moment + b" " if timestamps else b""
    return head + text + (b"\n" if mark == b"F" else b"")


def select(stored: bytes, options: LogOptions, now_ns: int) -> Iterator[bytes]:
    """Yield the rendered lines that the options ask for."""
    lines = _lines(stored)
    if options.since_seconds is not None:
        earliest = stamp(now_ns - int(options.since_seconds * 10**9))
        lines = [line for line in lines if line[: len(earliest)] >= earliest]
    if options.tail_lines is not None:
        lines = lines[-options.tail_lines :] if options.tail_lines > 0 else []
    for line in lines:
        yield render(line, options.timestamps)


class LogStore:
    """The logs of all pods of the cluster."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runs: dict[tuple[str, str, str], list[ContainerLog]] = {}

    def open(self, namespace: str, pod: str, uid: str, container: str, run: int) -> ContainerLog:
        """Begin the log of a run; of earlier runs only the last is kept, as kubelet does."""
        path = self._root / f"{namespace}_{pod}_{uid}" / container / f"{run}.log"
        runs = self._runs.setdefault((namespace, pod, container), [])
        while len(runs) > 1:
            runs.pop(0).path.unlink()
        runs.append(ContainerLog(path))
        return runs[-1]

    def forget(self, namespace: str, pod: str, uid: str) -> None:
        """Remove the logs of a pod that is gone."""
        for key in [key for key in self._runs if key[:2] == (namespace, pod)]:
            del self._runs[key]
        shutil.rmtree(self._root / f"{namespace}_{pod}_{uid}", ignore_errors=True)

    def find(self, namespace: str, pod: str, container: str, previous: bool = False) -> ContainerLog:
        """Return the log of the present or the previous run. Raises ApiError."""
        runs = self._runs.get((namespace, pod, container), [])
        if previous and len(runs) < 2:
            raise bad_request(f'previous terminated container "{container}" in pod "{pod}" not found')
        if not runs:
            raise bad_request(f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating')
        return runs[-2] if previous else runs[-1]

    async def read(
        self,
        namespace: str,
        pod: str,
        container: str,
        follow: bool = False,
        tail_lines: int | None = None,
        since_seconds: float | None = None,
        timestamps: bool = False,
        previous: bool = False,
        limit_bytes: int | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield a log; with `follow` until the container ends. Raises ApiError."""
        log = self.find(namespace, pod, container, previous)
        left = limit_bytes if limit_bytes is not None else float("inf")
        options = LogOptions(tail_lines, since_seconds, timestamps)
        async for piece in _pieces(log, options, follow):
            yield piece[: int(min(left, len(piece)))]
            left -= len(piece)
            if left <= 0:
                return


async def _pieces(log: ContainerLog, options: LogOptions, follow: bool) -> AsyncIterator[bytes]:
    with log.path.open("rb") as file:
        stored = file.read()
        for piece in select(stored, options, time.time_ns()):
            yield piece
        while follow:
            change = log.change  # taken before reading, so that nothing written after is missed
            fresh, finished = file.read(), log.closed
            for line in _lines(fresh):
                yield render(line, options.timestamps)
            if finished:
                return
            if not fresh:
                await change.wait()


def _lines(stored: bytes) -> list[bytes]:
    """Split at line feeds alone: what a container writes may hold carriage returns."""
    return stored.split(b"\n")[:-1]
