"""Runs one task of `child` in a process of its own and keeps what the native libraries say."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import dms_operator

from ...api.target_options.qnn import TIMEOUT
from ..endings import cause_outside, timed_out
from .child import TASK_FAILED_EXIT_CODE, Job

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STAMP = re.compile(r"^\S+ \S+ (\[[EFW]:onnxruntime:[^\]]*\])")
_SOURCE = re.compile(r"/onnxruntime_src/\S+ [^()]*\([^()]*\) ?")
_KEPT_LINES = 5000


@dataclass
class ToolFailed(Exception):
    """The task failed or its process died; `lines` is what it printed, native libraries included."""

    task: str
    returncode: int
    lines: list[str]

    def why(self, last: int = 3) -> str:
        """How it ended, then the last lines that name an error (or the last lines at all)."""
        errors = [line for line in self.lines if line.startswith("@error") or "[E:" in line]
        text = " | ".join(_shortened(line) for line in (errors or self.lines)[-last:])
        return f"{self._ending()}: {text or 'it printed nothing'}"

    def _ending(self) -> str:
        if self.returncode == TASK_FAILED_EXIT_CODE:
            return "it reported"
        if self.returncode < 0:
            return f"it crashed by {signal.Signals(-self.returncode).name}, last lines"
        return f"it exited with code {self.returncode}, last lines"


def run_task(job: Job, workdir: Path) -> list[str]:
    """Run a job to its end, or for its `timeout_seconds`, and return its log lines.

    Raises ToolFailed; ConverterKilled when time or memory ran out or something outside killed the process; StoreFull.
    The last two may be tried again.
    """
    lines: list[str] = []
    seconds, late = float(job.get("timeout_seconds", threading.TIMEOUT_MAX)), threading.Event()
    with start(job, workdir, subprocess.DEVNULL) as process:

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            read_until(process, lines, None)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise timed_out(f"the QNN {job['task']} process", seconds, TIMEOUT)
    judge(job["task"], process.returncode, lines)
    return lines


def start(job: Job, workdir: Path, stdin: int) -> subprocess.Popen[str]:
    """Start a child on a job; what it and its libraries print comes out of its standard output."""
    job_file = workdir / f"{job['task']}.json"
    job_file.write_text(json.dumps(job))
    # -P keeps the scratch directory off the import path; the libraries may write files into their cwd
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"{__package__}.child", str(job_file)],
        cwd=workdir,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=stdin,
        text=True,
        errors="replace",
    )


def read_until(process: subprocess.Popen[str], lines: list[str], wanted: str | None) -> bool:
    """Keep what the child prints in `lines`, up to the wanted line or its end; whether the line came."""
    assert process.stdout is not None
    for line in process.stdout:
        text = _ANSI.sub("", line).rstrip()
        if text == wanted:
            return True
        if text and len(lines) < _KEPT_LINES:
            lines.append(_STAMP.sub(r"\1", text))
    return False


def judge(task: str, returncode: int, lines: list[str]) -> None:
    """Raise for a child that ended badly: ConverterKilled, StoreFull or ToolFailed."""
    if returncode == 0:
        return
    if outside := cause_outside(f"the QNN {task} process", returncode, lines):
        raise outside
    raise ToolFailed(task, returncode, lines)


def _environment() -> dict[str, str]:
    root = str(Path(dms_operator.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root}


def _shortened(line: str, limit: int = 300) -> str:
    line = _SOURCE.sub("", line)
    return line if len(line) <= limit else f"{line[:limit]}…"
