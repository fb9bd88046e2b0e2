"""The border to libraries that read untrusted bytes: whatever they raise is the file's fault, not the pod's."""

import contextlib
import errno
import logging
from collections.abc import Iterator

from ..api.errors import DMSError, Terminal

_log = logging.getLogger(__name__)
_DAMAGE = (None, errno.EINVAL)
"""What zip readers raise as OSError when offsets in a file point nowhere."""


@contextlib.contextmanager
def reading(what: str, error_class: type[Terminal], hint: str) -> Iterator[None]:
    """Turn any exception of a reader into `error_class`: fuzzed files raise KeyError, UnicodeDecodeError and the like.

    Our own errors, lack of memory and errors of the disk pass through. The traceback goes to the log.
    """
    try:
        yield
    except (DMSError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in _DAMAGE:
            raise
        _log.warning("%s cannot be read", what, exc_info=error)
        line = next(iter(str(error).splitlines()), "")[:200]
        raise error_class(f"{what} is damaged ({type(error).__name__}: {line})", hint=hint) from error
