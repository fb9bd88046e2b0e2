"""What every link to a board can do. They build command lines; what runs is the user's own ssh or adb."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ...api.errors import BoardRefused

COMMAND_SECONDS = 60.0
"""Small commands on the board; an ssh handshake on a slow core takes a few."""


class LinkLost(Exception):
    """The board cannot be reached now; it may be in a minute."""


class Link(Protocol):
    """A way to run commands on a board, as pure functions of what is asked."""

    @property
    def name(self) -> str:
        """How the user calls it, such as `ssh://root@10.0.0.7`."""
        ...

    def command(self, remote: str) -> list[str]:
        """Command line of this machine that runs a shell command on the board, pipes and exit code passed through."""
        ...

    def push_command(self, remote: str) -> list[str] | None:
        """Command line, lacking the local file at its end, that copies it there; None: by standard input."""
        ...

    def verdict(self, code: int, errors: str) -> Exception | None:
        """What the client's end means: LinkLost, BoardRefused, or None when the board's own command ended so."""
        ...


def shell(words: Sequence[str]) -> str:
    """Words as one shell command."""
    return " ".join(map(shlex.quote, words))


def run(link: Link, remote: str, *, data: Path | None = None, timeout: float = COMMAND_SECONDS) -> str:
    """Run a shell command on the board, its input from a file; gives its output.

    Raises LinkLost, BoardRefused, and CommandFailed when the command itself fails.
    """
    return _finished(link, link.command(remote), data, timeout)


def push(link: Link, local: Path, remote: str, *, timeout: float) -> None:
    """Copy a file to the board. Raises as `run` does."""
    prefix = link.push_command(remote)
    if prefix is None:
        run(link, f"cat > {shlex.quote(remote)}", data=local, timeout=timeout)
    else:
        _finished(link, [*prefix[:-1], str(local), prefix[-1]], None, timeout)


class CommandFailed(Exception):
    """A command on the board ended with an error; `code` is its exit code."""

    def __init__(self, code: int, output: str) -> None:
        super().__init__(f"exit code {code}: {output}")
        self.code = code


def _finished(link: Link, command: Sequence[str], data: Path | None, timeout: float) -> str:
    with data.open("rb") if data else open("/dev/null", "rb") as source:  # noqa: PTH123
        try:
            done = subprocess.run(command, stdin=source, capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise LinkLost(f"no answer within {timeout:.0f} s") from error
        except FileNotFoundError as error:
            raise client_missing(command[0]) from error
    output, errors = (text.decode(errors="replace").strip() for text in (done.stdout, done.stderr))
    if done.returncode == 0:
        return output
    raise link.verdict(done.returncode, errors) or CommandFailed(done.returncode, last_line(errors or output))


def client_missing(program: str) -> BoardRefused:
    """The error for an image without the link's client."""
    return BoardRefused(
        f"the benchmark image has no {program}", hint="Use the project's benchmark image, or install it in yours"
    )


def last_line(text: str, limit: int = 300) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:limit]
