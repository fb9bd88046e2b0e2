"""Background processes of the command line: started in a session of their own, stopped by pid, never left behind."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal that a process gets when its parent ends."""


def start(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    dies_with_parent: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start a command in its own session with its output in a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=_die_with_parent if dies_with_parent else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def is_running(pid: int, started: float) -> bool:
    """Whether the process that we started is still there (a pid may have been given to another one since)."""
    return abs(start_time(pid) - started) < 1.0


def start_time(pid: int) -> float:
    """When a process started, in seconds after boot; -inf when there is none (proc(5), field 22)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return float("-inf")
    fields = text.rsplit(")", 1)[1].split()
    return float("-inf") if fields[0] == "Z" else int(fields[19]) / os.sysconf("SC_CLK_TCK")


def stop(pid: int, *, grace: float = 15.0) -> None:
    """SIGTERM, then SIGKILL to the whole session after the grace period (seconds)."""
    started = start_time(pid)
    deadline = time.monotonic() + grace
    _signal(pid, signal.SIGTERM)
    while is_running(pid, started) and time.monotonic() < deadline:
        time.sleep(0.05)
    if is_running(pid, started):
        _signal_group(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
