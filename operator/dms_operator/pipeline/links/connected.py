"""A board at the end of a link: push the runner once, run the job, take the answer, leave nothing behind."""

import contextlib
import json
import logging
import os
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ...api import errors
from ...api.board_connection import Connection
from ...api.errors import BoardRunFailed, BoardUnreachable, DMSError, ToolchainUnavailable
from ...toolchains.base import Progress
from ..on_board.frames import PROGRESS, sha256
from ..on_board.job import BoardInputs, BoardJob, BoardRun
from ..on_board.wire import pack_job, unpack_run
from .conversation import BoardFailure, Conversation
from .link import CommandFailed, Link, LinkLost, client_missing, last_line, push, run, shell
from .package import build_runner

_log = logging.getLogger(__name__)

PAUSES = (2.0, 10.0)
"""Seconds before the link is tried again: a board that reboots needs longer, and gets it by the Job's own retries."""
PUSH_SECONDS = 120.0
END_SECONDS = 10.0
"""What a client may take to end once both sides have said all."""
_NOT_FOUND = (126, 127)
"""Exit codes of a shell that cannot run, or find, a program (POSIX)."""
_DIGEST_DIGITS = 16
_KEPT_BYTES = 8192

_INSPECT = (
    "import hashlib,os,sys;p=sys.argv[1];"
    "print(hashlib.sha256(open(p,'rb').read()).hexdigest() if os.path.exists(p) else 'absent')"
)


class ConnectedBoard:
    """Carries out jobs on a board that hangs off this node."""

    def __init__(
        self,
        link: Link,
        connection: Connection,
        pauses: Sequence[float] = PAUSES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._link = link
        self._connection = connection
        self._pauses = pauses
        self._sleep = sleep

    def run(self, job: BoardJob, inputs: BoardInputs, progress: Progress) -> BoardRun:
        """Carry out a job; a lost link is tried again.

        Raises BoardUnreachable, BoardRunFailed, BoardBusy, and what the job raises on the board.
        """
        with tempfile.TemporaryDirectory(prefix="board-") as name:
            directory = Path(name)
            pack_job(job, inputs, directory / "job.zip")
            self._retried(lambda: self._once(directory, progress))
            return _read(directory / "answer.zip")

    def facts(self) -> dict[str, object]:
        """What the board says of itself. Raises as `run` does."""
        with tempfile.TemporaryDirectory(prefix="board-") as name:
            answers: list[str] = []
            self._retried(lambda: answers.append(self._facts(Path(name))))
            found: dict[str, object] = json.loads(answers[-1])
            return found

    def _retried(self, attempt: Callable[[], None]) -> None:
        for pause in (*self._pauses, None):
            try:
                return attempt()
            except LinkLost as lost:
                if pause is None:
                    raise self._unreachable(lost) from lost
                _log.warning("the link to %s is lost: %s; trying again in %.0f s", self._link.name, lost, pause)
                self._sleep(pause)
            except CommandFailed as failed:
                raise self._board_failed(failed.code, str(failed)) from failed

    def _once(self, directory: Path, progress: Progress) -> None:
        command = self._link.command(self._runner_command("serve", self._prepared(directory)))
        with (directory / "errors.txt").open("w+b") as log:
            try:
                code = self._talk(command, log.fileno(), directory, progress)
            except BoardFailure as failure:
                raise self._told(failure, _words(log)) from failure
            words = _words(log)
        if code is not None:
            raise self._link.verdict(code, words) or self._ended(code, words)

    def _talk(self, command: list[str], log: int, directory: Path, progress: Progress) -> int | None:
        """Exchange the job for the answer; gives the client's exit code when it ended without one."""
        try:
            client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        except FileNotFoundError as error:
            raise client_missing(command[0]) from error
        with client:
            try:
                talk = Conversation(client, lambda line: _pass_on(line, progress))
                complete = talk.exchange(directory / "job.zip", directory / "answer.zip")
                return None if complete else client.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise LinkLost("the link's client hangs") from error
            finally:
                _hang_up(client)

    def _ended(self, code: int, words: str) -> Exception:
        """No answer, though the client itself did not complain."""
        if code in _NOT_FOUND:
            return self._board_failed(code, last_line(words))
        return LinkLost(last_line(words) or f"the runner ended with code {code} and no answer")

    def _facts(self, directory: Path) -> str:
        return run(self._link, self._runner_command("facts", self._prepared(directory)))

    def _prepared(self, directory: Path) -> str:
        """Make sure that the board has this very runner; gives its place there."""
        runner = directory / "runner.pyz"
        if not runner.exists():
            build_runner(runner)
        digest, workdir = sha256(runner), self._connection.workdir
        place = f"{workdir}/runner-{digest[:_DIGEST_DIGITS]}.pyz"
        if self._digest_there(place) == digest:
            return place
        run(self._link, shell(["mkdir", "-p", workdir]))
        unfinished = f"{place}.{os.urandom(4).hex()}"
        push(self._link, runner, unfinished, timeout=PUSH_SECONDS)
        run(self._link, shell(["mv", unfinished, place]))
        if self._digest_there(place) != digest:
            raise LinkLost("the runner arrived damaged")
        return place

    def _digest_there(self, place: str) -> str:
        return last_line(run(self._link, shell([self._connection.python, "-c", _INSPECT, place])))

    def _runner_command(self, what: str, place: str) -> str:
        return shell([self._connection.python, place, what, self._connection.workdir])

    def _unreachable(self, lost: LinkLost) -> BoardUnreachable:
        tries = len(self._pauses) + 1
        return BoardUnreachable(
            f"{self._link.name} is unreachable ({lost}; tried {tries} times)",
            hint="Look at the board's power and network, and at dms.edge/board-connection of its node",
        )

    def _board_failed(self, code: int, words: str) -> DMSError:
        if code in _NOT_FOUND:
            return ToolchainUnavailable(
                f"{self._link.name} has no {self._connection.python} ({words})",
                hint="Install Python 3.11 or newer with numpy and the board's ONNX Runtime, or name it: "
                "?python=/usr/bin/python3.12 in dms.edge/board-connection",
            )
        return BoardRunFailed(f"{self._link.name}: {words}")

    def _told(self, failure: BoardFailure, words: str) -> DMSError:
        """The runner's words as the error that they name, with what it printed where they name none."""
        kind = getattr(errors, failure.reason, None)
        if isinstance(kind, type) and issubclass(kind, DMSError) and kind is not BoardRunFailed:
            return kind(f"{self._link.name}: {failure}")
        printed = last_line(words)
        return BoardRunFailed(f"{self._link.name}: {failure}" + (f" ({printed})" if printed else ""))


def _words(log: BinaryIO) -> str:
    """What the client and the board's processes printed as errors."""
    log.seek(0)
    text = log.read()[-_KEPT_BYTES:].decode(errors="replace")
    for line in text.splitlines():
        _log.info("board: %s", line[:500])
    return text


def _hang_up(client: "subprocess.Popen[bytes]") -> None:
    """Close the runner's standard input: it then leaves nothing behind; a client that does not end is ended."""
    assert client.stdin
    with contextlib.suppress(BrokenPipeError):
        client.stdin.close()
    try:
        client.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        client.kill()


def _pass_on(line: str, progress: Progress) -> None:
    """Progress goes on as progress, everything else into the log."""
    step, _, count = line.removeprefix(PROGRESS).partition(" ")
    done, _, total = count.partition("/")
    if line.startswith(PROGRESS) and done.isdigit() and total.isdigit():
        progress(step, int(done), int(total))
    else:
        _log.info("board: %s", line[:500])


def _read(answer: Path) -> BoardRun:
    try:
        return unpack_run(answer)
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise BoardRunFailed(f"the board's answer cannot be read: {type(error).__name__}: {error}") from error
