"""Atomic writes into a file system, and its errors in the product's words."""

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from ..api.errors import StoreFull, StoreUnavailable, StoreUnwritable
from .copying import FULL
from .object_stores import told_as_os_errors
from .uris import shown

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class BlobWriter:
    """Writes whole objects: on a disk by rename, in an object store by its own atomic put."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem
        self._renames = isinstance(filesystem, LocalFileSystem)

    def write_file(self, path: str, source: Path) -> None:
        """Copy a local file to `path`."""
        with self._target(path) as target:
            self._filesystem.put_file(str(source), target)

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write bytes to `path`."""
        with self._target(path) as target:
            self._filesystem.pipe_file(target, data)

    @contextmanager
    def _target(self, path: str) -> Iterator[str]:
        if not self._renames:
            with _in_a_bucket(path):
                yield path
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            yield str(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _in_a_bucket(path: str) -> Iterator[None]:
    """An object store makes folders by itself, but no buckets."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreUnwritable(
            f"the artifact store's bucket {path.partition('/')[0]} does not exist",
            hint="Make it, or name another one in spec.artifacts.uri",
        ) from error


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Translate OSError (but not FileNotFoundError) into StoreFull, StoreUnwritable or StoreUnavailable.

    What the clients of object stores raise instead of an OSError is one, too.
    """
    try:
        with told_as_os_errors():
            yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(
                f"the artifact store {shown(uri)} is full", hint="Delete old artifacts, or enlarge its volume"
            ) from error
        if error.errno in _READ_ONLY or isinstance(error, PermissionError):
            raise _denied(uri, error) from error
        raise StoreUnavailable(f"the artifact store {shown(uri)} failed: {error}") from error


def _denied(uri: str, error: OSError) -> StoreUnwritable:
    why = error.strerror or error
    if uri.startswith("file:"):
        return StoreUnwritable(
            f"the artifact store {shown(uri)} is read-only for the stage pods ({why})",
            hint="Mount it writable, or name another one in spec.artifacts.uri",
        )
    return StoreUnwritable(
        f"the artifact store {shown(uri)} refuses the stage pods ({why})",
        hint="Check the keys in the operator's storeSecret and what they may do there",
    )
