"""What a board is and how it is, as its kernel and its Python tell. Standard library alone, milliseconds of work."""

import fcntl
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import throttling
from ..machine import cpu_name, usable_cores
from ..power import PowerUnavailable, find_source
from ..power.source import PowerSource

RUNTIMES = ("numpy", "onnxruntime", "onnxruntime-qnn", "onnxruntime-tidl")


def board_facts(workdir: Path, sys: Path = throttling.SYS) -> dict[str, Any]:
    """Plain JSON values; what the machine does not tell is absent, power is a source or the reason for none.

    `workdir` is where benchmarks put their files; it need not exist.
    """
    clocks = throttling.look(sys)
    power, reason = _power(sys)
    found = {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "memoryBytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "runtimes": _runtimes(),
        "powerSource": power.name if power else None,
        "powerUnavailable": reason or None,
        "celsius": max(clocks.celsius.values(), default=None),
        "throttled": throttling.throttled(clocks, clocks) or None,
        "freeDiskBytes": _free_bytes(workdir),
        "busy": _is_busy(workdir) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _power(sys: Path) -> tuple[PowerSource | None, str]:
    try:
        return find_source(sys), ""
    except PowerUnavailable as error:
        return None, str(error)


def _runtimes() -> dict[str, str]:
    found = {}
    for name in RUNTIMES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _free_bytes(workdir: Path) -> int:
    """Room in the file system that the directory is, or will be, in."""
    place = next(path for path in (workdir.absolute(), *workdir.absolute().parents) if path.exists())
    state = os.statvfs(place)
    return state.f_bavail * state.f_frsize


def _is_busy(workdir: Path) -> bool:
    """Whether a runner holds the board (supervise.py); a probe then stays out of its way."""
    try:
        with (workdir / "lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
