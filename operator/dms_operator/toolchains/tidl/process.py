"""Runs one of TI's programs to its end in a process group of its own, and names how it failed."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base import Progress
from ..endings import cause_outside, timed_out

CHILD = Path(__file__).with_name("child.py")
_KEPT_LINES = 5000
_SHOWN_CHARACTERS = 300
_TASK_FAILED_EXIT_CODE = 3


@dataclass
class TaskFailed(Exception):
    """The program failed; `lines` is what it printed, native libraries included."""

    returncode: int
    lines: list[str]

    def why(self, last: int = 3) -> str:
        """How it ended, then the last lines that name an error (or the last lines at all)."""
        errors = [line for line in self.lines if line.startswith("@error") or "error" in line.lower()]
        text = " | ".join(line[:_SHOWN_CHARACTERS] for line in (errors or self.lines)[-last:])
        return f"{self._ending()}: {text.replace('@error ', '') or 'it printed nothing'}"

    def _ending(self) -> str:
        if self.returncode == _TASK_FAILED_EXIT_CODE:
            return "it reported"
        if self.returncode < 0:
            return f"it crashed by {signal.Signals(-self.returncode).name}, last lines"
        return f"it exited with code {self.returncode}, last lines"


def run_task(
    job: Mapping[str, Any], python: str, workdir: Path, step: str, progress: Progress, timeout: float
) -> list[str]:
    """Run a job of `child` under TI's Python; gives its lines. Raises as `run_program` does."""
    job_file = workdir / f"{job['task']}.json"
    job_file.write_text(json.dumps(job), encoding="utf-8")

    def take(line: str) -> None:
        if line.startswith("@progress "):
            done, total = line.removeprefix("@progress ").split("/")
            progress(step, int(done), int(total))

    return run_program([python, str(CHILD), str(job_file)], workdir, timeout, take, what=f"TIDL {job['task']}")


def run_program(
    command: Sequence[str], workdir: Path, timeout: float, take: Callable[[str], None], *, what: str
) -> list[str]:
    """Run a program; `take` gets each of its lines.

    Raises TaskFailed; ConverterKilled after `timeout` seconds or when something outside killed it, and StoreFull, which
    may be tried again. Whatever happens, no process of its group stays.
    """
    lines: list[str] = []
    process = _started(command, workdir)
    late = threading.Event()

    def end() -> None:
        late.set()
        _end_group(process)

    timer = threading.Timer(timeout, end)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            text = line.rstrip()
            take(text)
            if text and len(lines) < _KEPT_LINES:
                lines.append(text)
        process.wait()
    finally:
        timer.cancel()
        _end_group(process)
        process.wait()
        if process.stdout:
            process.stdout.close()
    if late.is_set():
        raise timed_out(what, timeout, "import-timeout")
    _judge(process.returncode, lines, what)
    return lines


def _started(command: Sequence[str], workdir: Path) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            list(command),
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # a group of its own: TI's import starts further programs (statistics, graph viewer, performance simulator)
            start_new_session=True,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )
    except OSError as error:
        raise TaskFailed(127, [f"@error {command[0]} cannot be started: {error.strerror}"]) from error


def _end_group(process: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _judge(returncode: int, lines: list[str], what: str) -> None:
    if outside := cause_outside(what, returncode, lines):  # TI's tools report success even where the disk is full
        raise outside
    if returncode != 0:
        raise TaskFailed(returncode, lines)
