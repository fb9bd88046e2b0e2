"""Runs one container's process and leaves nothing behind. Started as a script of its own: standard library only.

Like containerd's shim it stands between the kubelet and the container: it adopts whatever the container daemonises
(PR_SET_CHILD_SUBREAPER), kills all of it when the main process ends, and kills everything when its standard input
closes, which happens however the dev cluster dies. A control line on standard input is a signal number for the main
process. The result goes to the descriptor given as the first argument, as JSON {"code", "signal", "oom", "error"}.
Memory is the resident size of all descendants, looked at every 50 ms; a process that outgrew its limit between two
looks and ended is found by its peak size.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
from pathlib import Path

_LOOK_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(root: int) -> list[int]:
    """Return the living processes below a process (Linux; empty elsewhere)."""
    found: list[int] = []
    queue = [root]
    while queue:
        parent = queue.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = [int(pid) for pid in (task / "children").read_text().split()]
                found += children
                queue += children
    return found


def resident_bytes(pids: list[int]) -> int:
    """Return the summed resident size of processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total


def kill_all(leader: int) -> None:
    """SIGKILL the leader's group and every descendant, until none is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    while living := descendants(os.getpid()):
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def start(argv: list[str], status_fd: int) -> int:
    """Fork the container's main process into its own session; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.set_inheritable(status_fd, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv(argv[0], argv)
    except OSError as problem:
        report(status_fd, {"code": 128, "error": problem.strerror or str(problem)})
    os._exit(0)


def report(status_fd: int, result: dict[str, object]) -> None:
    """Write the result; the first one written counts."""
    with contextlib.suppress(BrokenPipeError):
        os.write(status_fd, json.dumps(result).encode() + b"\n")


class Watch:
    """The life of the main process: control lines in, its end out."""

    def __init__(self, leader: int, memory_limit: int, wakeup: int) -> None:
        self.leader = leader
        self.memory_limit = memory_limit
        self.wakeup = wakeup
        self.oom = False
        self.control = b""

    def until_end(self) -> dict[str, object]:
        """Block until the main process ends; return the result."""
        while True:
            ended = self.reap()
            if ended is not None:
                return ended
            timeout = _LOOK_SECONDS if self.memory_limit else None
            readable, _, _ = select.select([0, self.wakeup], [], [], timeout)
            if self.wakeup in readable:
                os.read(self.wakeup, 4096)
            if 0 in readable:
                self.obey()
            self.check_memory()

    def reap(self) -> dict[str, object] | None:
        """Collect ended children; return the result if the main process is among them."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return {"code": 255, "error": "the main process vanished"}
            if pid == 0:
                return None
            if pid == self.leader:
                peak = usage.ru_maxrss * 1024
                self.oom = self.oom or bool(self.memory_limit and peak > self.memory_limit)
                code = os.waitstatus_to_exitcode(status)
                return {"code": max(code, 0), "signal": max(-code, 0), "oom": self.oom}

    def obey(self) -> None:
        """Pass on the signals that the kubelet asks for; kill everything when it is gone."""
        received = os.read(0, 4096)
        if not received:
            kill_all(self.leader)
            os._exit(1)
        *lines, self.control = (self.control + received).split(b"\n")
        for line in lines:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, int(line))

    def check_memory(self) -> None:
        """Kill the container when it holds more than its limit."""
        if self.memory_limit and resident_bytes(descendants(os.getpid())) > self.memory_limit:
            self.oom = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)


def main() -> None:
    """Arguments: status descriptor, memory limit in bytes (0 = none), then the command."""
    status_fd, memory_limit, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    # Blocked, not ignored: what is sent to the child before it is ready is kept for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeup, poke = os.pipe()
    os.set_blocking(poke, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(poke)
    leader = start(argv, status_fd)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    result = Watch(leader, memory_limit, wakeup).until_end()
    kill_all(leader)
    report(status_fd, result)


if __name__ == "__main__":
    main()
