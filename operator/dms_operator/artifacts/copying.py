"""Copy a stream to a file while hashing it: nothing appears under the final name before it is whole."""

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from ..api.errors import StoreFull

CHUNK_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Readable(Protocol):
    """What can be copied."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def copy_hashed(
    source: Readable, target: Path, limit_bytes: int, on_bytes: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Copy to `target`; gives (`sha256:<hex>`, bytes).

    Raises OverflowError beyond `limit_bytes`, StoreFull when the disk is; the partial file is removed.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as sink:
            result = _pump(source, sink, limit_bytes, on_bytes)
        partial.replace(target)
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(
                f"no space left for {target.name} in the pod's scratch space",
                hint="Give the node or the volume more",
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    return result


def _pump(
    source: Readable, sink: BinaryIO, limit_bytes: int, on_bytes: Callable[[int], None] | None
) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        size += len(chunk)
        if size > limit_bytes:
            raise OverflowError(size)
        digest.update(chunk)
        sink.write(chunk)
        if on_bytes:
            on_bytes(size)
    return f"sha256:{digest.hexdigest()}", size


def file_digest(path: Path) -> str:
    """Digest of a file's bytes, `sha256:<hex>`."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
