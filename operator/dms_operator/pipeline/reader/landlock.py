"""Confine this process to some folders by Landlock (Linux 5.13 and newer; needs no rights): landlock(7)."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on all architectures."""
_ASK_VERSION, _PATH_BENEATH, _PR_SET_NO_NEW_PRIVS = 1, 1, 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many file rights a version knows; others know those of the version before."""
_BIND_AND_CONNECT_TCP, _SINCE_NETWORK = 0b11, 4
_SIGNALS_AND_ABSTRACT_SOCKETS, _SINCE_SCOPES = 0b11, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's Landlock version; 0 where it has none, or a sandbox around us refuses the call."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))))


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """From now on this thread, and what it starts, opens nothing else, and no TCP connection. Raises OSError.

    Call it before the first thread is started. Paths that do not exist are left out.
    """
    found = version()
    rights = (1 << max(count for since, count in _RIGHTS.items() if since <= found)) - 1
    wanted = _Ruleset(
        rights,
        _BIND_AND_CONNECT_TCP if found >= _SINCE_NETWORK else 0,
        _SIGNALS_AND_ABSTRACT_SOCKETS if found >= _SINCE_SCOPES else 0,
    )
    ruleset = _call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(ctypes.sizeof(wanted)), ctypes.c_uint32(0))
    try:
        for paths, allowed in ((readable, _READ), (writable, rights & ~_EXECUTE)):
            for path in filter(Path.exists, paths):
                _allow(ruleset, path, allowed & rights)
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs")
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(allowed if path.is_dir() else allowed & _OF_FILES, parent)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer
