"""Time and memory that this pod may use, and how much of both it has used."""

import os
from pathlib import Path

from ..api.stages import TIME_LIMIT_VARIABLE
from .machine import age_seconds

MEMORY_VARIABLE = "DMS_MEMORY_LIMIT"
"""Bytes that the pod may use. Absent: the limit of its cgroup."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_STATM = Path("/proc/self/statm")


def time_limit() -> float | None:
    """Seconds that the pod may run; None where nobody set a limit."""
    seconds = os.environ.get(TIME_LIMIT_VARIABLE)
    return float(seconds) if seconds else None


def seconds_left(share: float) -> float | None:
    """What is left of a share of the pod's time; None without a limit."""
    limit = time_limit()
    return None if limit is None else max(0.0, share * limit - age_seconds())


def memory_limit() -> int | None:
    """Bytes that the pod may use; None where nobody set a limit."""
    text = os.environ.get(MEMORY_VARIABLE) or (_CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else "")
    return int(text) if text.isdecimal() else None


def resident_bytes() -> int:
    """Memory that this process has in use."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
