"""The runner on a board at the end of a link: pushed once, started by command lines; errors in the domain's words.

Imports little: the probe lives on nodes for months.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...api.board_connection import Connection
from ...api.errors import BoardRunFailed, BoardUnreachable, DMSError, ToolchainUnavailable
from ..on_board.frames import sha256
from .link import CommandFailed, Link, LinkLost, last_line, push, run, shell
from .package import build_runner

_log = logging.getLogger(__name__)

PAUSES = (2.0, 10.0)
"""Seconds before the link is tried again: a board that reboots needs longer, and gets it by the Job's own retries."""
PUSH_SECONDS = 120.0
NOT_FOUND = (126, 127)
"""Exit codes of a shell that cannot run, or find, a program (POSIX)."""
_DIGEST_DIGITS = 16
_FACTS_LIMIT = 16_384

_INSPECT = (
    "import hashlib,os,sys;p=sys.argv[1];"
    "print(hashlib.sha256(open(p,'rb').read()).hexdigest() if os.path.exists(p) else 'absent')"
)


class RemoteRunner:
    """The runner on one board."""

    def __init__(
        self,
        link: Link,
        connection: Connection,
        pauses: Sequence[float] = PAUSES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.link = link
        self._connection = connection
        self._pauses = pauses
        self._sleep = sleep

    def facts(self) -> dict[str, Any]:
        """What the board says of itself.

        Raises BoardUnreachable, BoardRefused, BoardRunFailed, ToolchainUnavailable.
        """
        with tempfile.TemporaryDirectory(prefix="board-") as name:
            answers: list[str] = []
            self.retried(lambda: answers.append(run(self.link, self.shell_command("facts", Path(name)))))
            found: dict[str, Any] = json.loads(last_line(answers[-1], limit=_FACTS_LIMIT))
            return found

    def retried(self, attempt: Callable[[], None]) -> None:
        """Try until the link holds, or the pauses are used up. Raises as `facts` does, and what the attempt raises."""
        for pause in (*self._pauses, None):
            try:
                return attempt()
            except LinkLost as lost:
                if pause is None:
                    raise self._unreachable(lost) from lost
                _log.warning("the link to %s is lost: %s; trying again in %.0f s", self.link.name, lost, pause)
                self._sleep(pause)
            except CommandFailed as failed:
                raise self.failed(failed.code, str(failed)) from failed

    def shell_command(self, what: str, scratch: Path) -> str:
        """Shell command that starts the runner on the board, after it was put there where it is missing.

        Raises LinkLost, CommandFailed, BoardRefused.
        """
        return shell([self._connection.python, self._pushed(scratch), what, self._connection.workdir])

    def _pushed(self, scratch: Path) -> str:
        """Make sure that the board has this very runner; gives its place there."""
        runner = scratch / "runner.pyz"
        if not runner.exists():
            build_runner(runner)
        digest, workdir = sha256(runner), self._connection.workdir
        place = f"{workdir}/runner-{digest[:_DIGEST_DIGITS]}.pyz"
        if self._digest_there(place) == digest:
            return place
        run(self.link, shell(["mkdir", "-p", workdir]))
        unfinished = f"{workdir}/push-{os.urandom(4).hex()}"
        push(self.link, runner, unfinished, timeout=PUSH_SECONDS)
        run(self.link, shell(["mv", unfinished, place]))
        if self._digest_there(place) != digest:
            raise LinkLost("the runner arrived damaged")
        return place

    def _digest_there(self, place: str) -> str:
        return last_line(run(self.link, shell([self._connection.python, "-c", _INSPECT, place])))

    def _unreachable(self, lost: LinkLost) -> BoardUnreachable:
        tries = len(self._pauses) + 1
        return BoardUnreachable(
            f"{self.link.name} is unreachable ({lost}; tried {tries} times)",
            hint="Look at the board's power and network, and at dms.edge/board-connection of its node",
        )

    def failed(self, code: int, words: str) -> DMSError:
        """A command on the board ended with this exit code and these words."""
        if code in NOT_FOUND:
            return ToolchainUnavailable(
                f"{self.link.name} has no {self._connection.python} ({words})",
                hint="Install Python 3.11 or newer with numpy and the board's ONNX Runtime, or name it: "
                "?python=/usr/bin/python3.12 in dms.edge/board-connection",
            )
        return BoardRunFailed(f"{self.link.name}: {words}")
