"""One job over a running command on the board: send it, keep the beat, take the answer (on_board/frames.py)."""

import contextlib
import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..on_board.frames import (
    ALIVE,
    ANSWER,
    BEAT,
    BEAT_SECONDS,
    CHUNK,
    FAILURE,
    PROGRESS,
    READY,
    SILENCE_SECONDS,
    Damaged,
    Receiver,
    header,
)
from .link import LinkLost

ANSWER_LIMIT_BYTES = 1 << 30
_LINE_LIMIT_BYTES = 1 << 16


class BoardFailure(Exception):
    """The runner's own words: `reason` is one of api.errors, or of the board's own making."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Conversation:
    """Talks to the runner through the pipes of a client's process. Never blocks for longer than the silence allowed."""

    def __init__(self, process: "subprocess.Popen[bytes]", on_line: Callable[[str], None]) -> None:
        assert process.stdin and process.stdout
        self._input, self._output = process.stdin, process.stdout
        self._on_line = on_line
        self._heard = self._spoken = time.monotonic()
        self._buffer = b""
        self._waiting = b""
        """Bytes that are still to be sent."""
        self._job: Iterator[bytes] = iter(())
        for pipe in (self._input, self._output):
            os.set_blocking(pipe.fileno(), False)

    def exchange(self, job: Path, answer: Path) -> bool:
        """Send the job and take the answer; False when the board's end closed without one.

        Raises LinkLost (silence, damaged bytes), BoardFailure (the runner's own words).
        """
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            receiver: Receiver | None = None
            try:
                while receiver is None or not receiver.complete:
                    data = self._next(selector)
                    if data is None:
                        return False
                    self._buffer += data
                    if receiver is None:
                        receiver = self._lines(job, answer, stack)
                    if receiver is not None:
                        self._buffer = receiver.take(self._buffer)
            except Damaged as error:
                raise LinkLost(f"the answer arrived damaged: {error}") from error
        return True

    def _next(self, selector: selectors.BaseSelector) -> bytes | None:
        """Send what can be sent, and wait a moment for input; None at its end. Raises LinkLost."""
        self._send(selector)
        data = b""
        for key, _ in selector.select(timeout=1.0):
            if key.fileobj is self._output:
                data = os.read(self._output.fileno(), CHUNK)
                if not data:
                    return None
                self._heard = time.monotonic()
        if time.monotonic() - self._heard > SILENCE_SECONDS:
            raise LinkLost(f"no sign of life for {SILENCE_SECONDS:.0f} s")
        return data

    def _send(self, selector: selectors.BaseSelector) -> None:
        """Write the job's next bytes, or a beat; a pipe that is closed tells its reason on the other one."""
        try:
            while data := self._waiting or next(self._job, b""):
                self._waiting = data
                self._waiting = data[os.write(self._input.fileno(), data) :]
                self._spoken = time.monotonic()
            if time.monotonic() - self._spoken > BEAT_SECONDS:
                os.write(self._input.fileno(), BEAT)
                self._spoken = time.monotonic()
        except BlockingIOError:
            _watch(selector, self._input, wanted=True)
            return
        except BrokenPipeError:
            self._job, self._waiting = iter(()), b""
        _watch(selector, self._input, wanted=False)

    def _lines(self, job: Path, answer: Path, stack: contextlib.ExitStack) -> Receiver | None:
        """Act on whole lines; gives the receiver once the answer begins. Raises BoardFailure."""
        while b"\n" in self._buffer:
            raw, _, self._buffer = self._buffer.partition(b"\n")
            line = raw.decode(errors="replace").strip()
            if line.startswith(ANSWER):
                return Receiver(line.removeprefix(ANSWER), answer, ANSWER_LIMIT_BYTES)
            if line.startswith(FAILURE):
                raise _failure(line.removeprefix(FAILURE))
            if line == READY:
                self._job = _pieces(stack.enter_context(job.open("rb")), header(job))
            elif line.startswith(PROGRESS) or (line and line != ALIVE):
                self._on_line(line)
        if len(self._buffer) > _LINE_LIMIT_BYTES:
            raise LinkLost("what the board says makes no sense")
        return None


def _watch(selector: selectors.BaseSelector, pipe: BinaryIO | Any, *, wanted: bool) -> None:
    known = pipe.fileno() in selector.get_map()
    if wanted and not known:
        selector.register(pipe, selectors.EVENT_WRITE)
    if known and not wanted:
        selector.unregister(pipe)


def _pieces(file: BinaryIO, first: bytes) -> Iterator[bytes]:
    yield first
    while data := file.read(CHUNK):
        yield data


def _failure(text: str) -> BoardFailure:
    try:
        told: dict[str, Any] = json.loads(text)
        return BoardFailure(str(told["reason"]), str(told["message"]))
    except (ValueError, KeyError, TypeError):
        return BoardFailure("BoardRunFailed", f"the runner's last words make no sense: {text[:200]}")
