"""The runner's first process on a connected board: takes the job in, watches over the link, leaves nothing behind.

The job runs in a process of its own, whose timing this one does not disturb. When the link falls silent, standard input
ends, or a signal comes, the job is ended and its directory removed. One at a time: a lock keeps a second runner
waiting, and what a runner left that was killed is removed by the next. Standard library alone.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from .frames import ALIVE, ANSWER, BEAT, BEAT_SECONDS, CHUNK, FAILURE, READY, SILENCE_SECONDS, Damaged, Receiver, header

LOCK_SECONDS = 90.0
"""How long a runner waits for the one before it: three times as long as that one takes to notice a lost link."""
OLD_SECONDS = 3600.0
JOB_LIMIT_BYTES = 8 << 30
JOB, RUN_FILE = "job.zip", "answer.zip"
FAILURE_FILE = "failure.json"
BUSY = "BoardBusy"
RUN_FAILED = "BoardRunFailed"
LINK_LOST_EXIT_CODE = 3


class LinkLost(Exception):
    """Nobody is there any more who could take the answer."""


class _Pipes:
    """Standard input and output as raw descriptors; every wait is bounded by the peer's silence."""

    def __init__(self) -> None:
        self._heard = self._spoken = time.monotonic()
        self.buffer = b""

    def say(self, line: str) -> None:
        self.write(line.encode() + b"\n")

    def write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError as error:
            raise LinkLost(str(error)) from error
        self._spoken = time.monotonic()

    def listen(self, *others: int, seconds: float = 1.0) -> list[int]:
        """Wait for input; gives the other descriptors that are ready. Keeps the beat, and raises LinkLost."""
        ready, _, _ = select.select([0, *others], [], [], seconds)
        if 0 in ready:
            data = os.read(0, CHUNK)
            if not data:
                raise LinkLost("standard input has ended")
            self.buffer += data
            self._heard = time.monotonic()
        now = time.monotonic()
        if now - self._heard > SILENCE_SECONDS:
            raise LinkLost(f"no beat for {SILENCE_SECONDS:.0f} s")
        if now - self._spoken > BEAT_SECONDS:
            self.say(ALIVE)
        return [each for each in ready if each != 0]

    def receive(self, into: Path) -> None:
        """Ask for a file and take it in. Raises Damaged, LinkLost."""
        self.say(READY)
        while b"\n" not in self.buffer.lstrip(BEAT):
            self.listen()
        self.buffer = self.buffer.lstrip(BEAT)
        line, _, self.buffer = self.buffer.partition(b"\n")
        receiver = Receiver(line, into, JOB_LIMIT_BYTES)
        self.buffer = receiver.take(self.buffer)
        while not receiver.complete:
            self.listen()
            self.buffer = receiver.take(self.buffer)

    def send(self, path: Path) -> None:
        """Send a file. Raises LinkLost."""
        self.write(ANSWER.encode() + header(path))
        with path.open("rb") as file:
            while data := file.read(CHUNK):
                self.write(data)


def serve(workdir: Path, runner: Path) -> int:
    """Take one job in, run it, answer; gives the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _end)
    pipes = _Pipes()
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(workdir, pipes) as lock:
            _remove_leftovers(workdir, runner)
            with _directory(workdir) as directory:
                pipes.receive(directory / JOB)
                _run(directory, runner, pipes, lock)
    except LinkLost as lost:
        print(f"the link is lost: {lost}", file=sys.stderr)
        return LINK_LOST_EXIT_CODE
    except Damaged as error:
        _fail(pipes, RUN_FAILED, f"the job arrived damaged: {error}")
    except TimeoutError as error:
        _fail(pipes, BUSY, str(error))
    except OSError as error:
        _fail(pipes, RUN_FAILED, f"the board's working directory {workdir} cannot be used: {error}")
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _lock(workdir: Path, pipes: _Pipes) -> Iterator[int]:
    """Hold the board; gives the lock's descriptor, which the job inherits: as long as it lives, the board is held."""
    deadline = time.monotonic() + LOCK_SECONDS
    with (workdir / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another benchmark has held the board for {LOCK_SECONDS:.0f} s"
                    raise TimeoutError(message) from None
                pipes.listen(seconds=0.5)
        yield file.fileno()


def _remove_leftovers(workdir: Path, runner: Path) -> None:
    for old in workdir.glob("run-*"):
        shutil.rmtree(old, ignore_errors=True)
    for other in workdir.glob("runner-*.pyz"):
        if other.name != runner.name:
            other.unlink(missing_ok=True)
    for unfinished in workdir.glob("push-*"):
        # a younger one may be on its way here, for a pod that waits for the lock
        if time.time() - unfinished.stat().st_mtime > OLD_SECONDS:
            unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _directory(workdir: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=workdir))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(directory: Path, runner: Path, pipes: _Pipes, lock: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(runner.resolve()), "TMPDIR": str(directory)}
    with subprocess.Popen(
        [sys.executable, str(runner.resolve()), "job", str(directory.resolve())],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # a session of its own: the job and its power meter are ended as one
        start_new_session=True,
        pass_fds=[lock],
    ) as child:
        try:
            code = _accompany(child, pipes)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    if (directory / FAILURE_FILE).is_file():
        pipes.say(FAILURE + (directory / FAILURE_FILE).read_text())
    elif code == 0:
        pipes.send(directory / RUN_FILE)
    else:
        how = f"was killed by signal {-code}, most often for want of memory" if code < 0 else f"ended with code {code}"
        _fail(pipes, RUN_FAILED, f"the runner's job on the board {how}")


def _accompany(child: "subprocess.Popen[bytes]", pipes: _Pipes) -> int:
    """Pass the job's lines on until it ends; gives its exit code."""
    assert child.stdout
    output = child.stdout.fileno()
    while True:
        if output in pipes.listen(output):
            data = os.read(output, CHUNK)
            if not data:
                return child.wait()
            pipes.write(data)


def _fail(pipes: _Pipes, reason: str, message: str) -> None:
    with contextlib.suppress(LinkLost):
        pipes.say(FAILURE + json.dumps({"reason": reason, "message": message}))
