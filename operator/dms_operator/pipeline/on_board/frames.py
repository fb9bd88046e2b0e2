"""How a pod and a board's runner talk: lines, and files with their length and SHA-256, over a pair of pipes.

To the board: beats, and once it says `@ready` a file. From the board: `@progress`, `@alive`, and at the end `@answer`
(a file) or `@failure`. Silence means that the link is lost: neither side waits longer.
Standard library alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

BEAT = b"\n"
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""Six beats missed: longer than a radio link needs to recover, shorter than anybody wants a board to be held."""

ALIVE = "@alive"
READY = "@ready"
ANSWER = "@answer "
FAILURE = "@failure "
PROGRESS = "@progress "

CHUNK = 1 << 16


class Damaged(Exception):
    """Bytes are not those that were announced."""


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def header(path: Path) -> bytes:
    """The line before a file's bytes."""
    return json.dumps({"bytes": path.stat().st_size, "sha256": sha256(path)}).encode() + b"\n"


class Receiver:
    """Takes in a file of which the header is known; `limit` bounds what a broken peer may announce."""

    def __init__(self, line: str | bytes, into: Path, limit: int) -> None:
        try:
            announced: dict[str, Any] = json.loads(line)
            self._left, self._wanted = int(announced["bytes"]), str(announced["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"no header of a file: {line[:80]!r}") from error
        if not 0 <= self._left <= limit:
            raise Damaged(f"a file of {self._left} bytes was announced, more than {limit}")
        self._digest = hashlib.sha256()
        self._file = into.open("wb")

    def take(self, data: bytes) -> bytes:
        """Take what belongs to the file; gives the rest."""
        mine, rest = data[: self._left], data[self._left :]
        self._file.write(mine)
        self._digest.update(mine)
        self._left -= len(mine)
        return rest

    @property
    def complete(self) -> bool:
        """Whether all bytes are there; closes and checks then. Raises Damaged."""
        if self._left:
            return False
        self._file.close()
        if self._digest.hexdigest() != self._wanted:
            raise Damaged("the bytes that came have another SHA-256 than those that were sent")
        return True
