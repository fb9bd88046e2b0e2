"""Background processes are recognised by pid and start time, and stopped with everything they started."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dms_operator.cli import processes

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_a_running_process_is_recognised_by_its_start_time(tmp_path: Path) -> None:
    process = processes.start([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    started = processes.start_time(process.pid)
    assert processes.is_running(process.pid, started)
    assert not processes.is_running(process.pid, started - 100), "the pid belongs to another process by now"
    processes.stop(process.pid)
    process.wait()
    assert not processes.is_running(process.pid, started)


def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", STUBBORN], log)
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    child = int(log.read_text())
    child_started = processes.start_time(child)
    processes.stop(process.pid, grace=0.2)
    process.wait()
    wait_until(lambda: not processes.is_running(child, child_started))


def test_a_process_that_dies_with_its_parent_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from dms_operator.cli import processes
command = [sys.executable, "-c", "import time; time.sleep(600)"]
process = processes.start(command, Path({str(tmp_path / "log")!r}), dies_with_parent=True)
print(process.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    started = processes.start_time(child)
    parent.kill()
    parent.wait()
    wait_until(lambda: not processes.is_running(child, started))


def test_stopping_what_is_gone_is_no_error(tmp_path: Path) -> None:
    process = processes.start([sys.executable, "-c", "pass"], tmp_path / "log")
    process.wait()
    processes.stop(process.pid)
