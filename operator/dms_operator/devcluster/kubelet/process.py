"""Start a container's process through its shim, signal it, and learn how it ended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SHIM = Path(__file__).with_name("shim.py")
_RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)


class StartError(Exception):
    """The command cannot be started; the text is what a kubelet reports."""


@dataclass(frozen=True)
class Exit:
    """How a container ended: its exit code as Kubernetes counts it (128 + signal), and the reason."""

    code: int
    reason: str
    message: str = ""


def resolve_command(argv: Sequence[str], search_path: str, directory: Path) -> list[str]:
    """Return the command with its program as a path that can be executed.

    Raises StartError in the words of containerd.
    """
    if not argv:
        raise StartError("failed to generate spec: no command specified")
    program = argv[0]
    if "/" not in program:
        found = shutil.which(program, path=search_path)
        if found is None:
            raise StartError(f'{_RUNC}exec: "{program}": executable file not found in $PATH')
        return [found, *argv[1:]]
    target = directory / program
    if not target.exists():
        raise StartError(f'{_RUNC}exec: "{program}": stat {program}: no such file or directory')
    if target.is_dir() or not os.access(target, os.X_OK):
        raise StartError(f'{_RUNC}exec: "{program}": permission denied')
    return [str(target), *argv[1:]]


class ContainerProcess:
    """A running container. Its output is read from `stdout` and `stderr`."""

    def __init__(self, shim: asyncio.subprocess.Process, status: int) -> None:
        self._shim = shim
        self._status = status
        assert shim.stdout is not None and shim.stderr is not None
        self.stdout = shim.stdout
        self.stderr = shim.stderr

    @property
    def pid(self) -> int:
        """The pid of the shim; everything of the container is below it."""
        return self._shim.pid

    @classmethod
    async def start(
        cls, argv: Sequence[str], environment: Mapping[str, str], directory: Path, memory_limit: int = 0
    ) -> ContainerProcess:
        """Start a resolved command. `memory_limit` is in bytes, 0 for none. Raises OSError."""
        status, report = os.pipe()
        try:
            shim = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_SHIM), str(report), str(memory_limit), *argv),
                env=dict(environment),
                cwd=directory,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(report,),
                start_new_session=True,
            )
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(report)
        return cls(shim, status)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's main process; nothing happens if it has ended."""
        assert self._shim.stdin is not None
        if not self._shim.stdin.is_closing():
            self._shim.stdin.write(f"{int(number)}\n".encode())

    def abandon(self) -> None:
        """Let the shim kill everything of the container at once."""
        assert self._shim.stdin is not None
        self._shim.stdin.close()

    async def wait(self) -> Exit:
        """Wait for the end of the container and of everything that it started."""
        await self._shim.wait()
        with os.fdopen(self._status, "rb") as status:
            lines = status.read().splitlines()
        if not lines:
            return Exit(137, "Error", "the container's shim was killed")
        return read_result(json.loads(lines[0]))


def read_result(result: Mapping[str, object]) -> Exit:
    """Translate a shim's report into an exit."""
    if result.get("error"):
        return Exit(int(str(result["code"])), "StartError", f"{_RUNC}{result['error']}")
    if result.get("oom"):
        return Exit(128 + signal.SIGKILL, "OOMKilled")
    number = int(str(result.get("signal") or 0))
    code = 128 + number if number else int(str(result["code"]))
    return Exit(code, "Completed" if code == 0 else "Error")
