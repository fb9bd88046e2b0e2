"""A board at the end of a link: run the job there, take the answer, leave nothing behind."""

import contextlib
import logging
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from ...api import errors
from ...api.errors import BoardRunFailed, DMSError
from ...toolchains.base import Progress
from ..on_board.frames import PROGRESS
from ..on_board.job import BoardInputs, BoardJob, BoardRun
from ..on_board.wire import pack_job, unpack_run
from .conversation import BoardFailure, Conversation
from .link import LinkLost, client_missing, last_line
from .runner import NOT_FOUND, RemoteRunner

_log = logging.getLogger(__name__)

END_SECONDS = 10.0
"""What a client may take to end once both sides have said all."""
_KEPT_BYTES = 8192


class ConnectedBoard:
    """Carries out jobs on a board that hangs off this node."""

    def __init__(self, runner: RemoteRunner) -> None:
        self._runner = runner
        self._link = runner.link

    def run(self, job: BoardJob, inputs: BoardInputs, progress: Progress) -> BoardRun:
        """Carry out a job; a lost link is tried again.

        Raises BoardUnreachable, BoardRunFailed, BoardBusy, and what the job raises on the board.
        """
        with tempfile.TemporaryDirectory(prefix="board-") as name:
            directory = Path(name)
            pack_job(job, inputs, directory / "job.zip")
            self._runner.retried(lambda: self._once(directory, progress))
            return _read(directory / "answer.zip")

    def _once(self, directory: Path, progress: Progress) -> None:
        command = self._link.command(self._runner.shell_command("serve", directory))
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
        if code in NOT_FOUND:
            return self._runner.failed(code, last_line(words))
        return LinkLost(last_line(words) or f"the runner ended with code {code} and no answer")

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
