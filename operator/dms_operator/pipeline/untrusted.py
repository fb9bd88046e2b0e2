"""The border to libraries that read untrusted bytes: whatever they raise is the file's fault, not the pod's."""

import contextlib
import errno
import logging
import re
import zipfile
from collections.abc import Callable, Iterator

from ..api.errors import DMSError, Terminal
from ..toolchains.endings import is_lack_of_memory

_log = logging.getLogger(__name__)
_DAMAGE = (None, errno.EINVAL)
"""What zip readers raise as OSError when offsets in a file point nowhere."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MOST_MEMBERS = 10_000
"""Members of an archive: a model has a few for each layer, a dataset one for each input."""


@contextlib.contextmanager
def reading(what: str, error_class: type[Terminal], hint: str) -> Iterator[None]:
    """Turn any exception of a reader into `error_class`: fuzzed files raise KeyError, UnicodeDecodeError and the like.

    Our own errors, lack of memory and errors of the disk pass through. The traceback goes to the log.
    """

    def refusal(error: Exception) -> Terminal:
        if isinstance(error, OSError) and error.errno not in _DAMAGE:
            raise error
        _log.warning("%s cannot be read", what, exc_info=error)
        line = next(iter(str(error).splitlines()), "")[:200]
        return error_class(f"{what} is damaged ({type(error).__name__}: {line})", hint=hint)

    with told_as(refusal):
        yield


@contextlib.contextmanager
def told_as(refusal: Callable[[Exception], Terminal]) -> Iterator[None]:
    """Turn what a native library raises into a refusal; lack of memory, whatever it is raised as, into MemoryError."""
    try:
        yield
    except (DMSError, MemoryError):
        raise
    except Exception as error:
        if is_lack_of_memory(str(error)):
            raise MemoryError(str(error)) from error
        raise refusal(error) from error


def first_line(error: BaseException) -> str:
    """Of what a library says, as much as fits into a message, without colours."""
    return next(iter(_COLOUR.sub("", str(error)).splitlines()), type(error).__name__)[:300]


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, the innermost last."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__


def check_archive(archive: zipfile.ZipFile, what: str, error_class: type[Terminal], limit_bytes: int) -> None:
    """Refuse an archive by its directory, before anything is unpacked: a small file can unpack to terabytes.

    zipfile unpacks no more of a member than the directory says.
    """
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise error_class(f"{what} holds {len(members)} members", hint=f"Keep what is needed, at most {_MOST_MEMBERS}")
    unpacked = sum(info.file_size for info in members)
    if unpacked > limit_bytes:
        raise error_class(f"{what} unpacks to {unpacked} bytes, more than the limit of {limit_bytes}", hint="Shrink it")
