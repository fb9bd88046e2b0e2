"""The machine that this process runs on, and since when, as its kernel tells; standard library alone."""

import os
import platform
import time
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_CPU_NAME_KEYS = ("model name", "Model", "Hardware", "CPU part")
"""Keys of /proc/cpuinfo that name the processor: x86 first, then what arm64 kernels write."""

_STAT, _START_FIELD = Path("/proc/self/stat"), 22
"""proc(5): the 22nd field is the process's start, in clock ticks after boot."""

NODE_VARIABLE = "DMS_NODE_NAME"
"""Set on pods from spec.nodeName."""


def node_name() -> str:
    """Name of the Kubernetes node when the pod was told, else the host's own name."""
    return os.environ.get(NODE_VARIABLE) or platform.node()


def cpu_name() -> str:
    """The processor's name as the kernel gives it, or the machine type."""
    fields = dict(_fields(_CPU_INFO.read_text())) if _CPU_INFO.is_file() else {}
    return next((fields[key] for key in _CPU_NAME_KEYS if key in fields), platform.machine())


def usable_cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def age_seconds() -> float:
    """Seconds since this process began."""
    # the command name may hold spaces and brackets, and ends with the last closing one; the third field follows it
    fields = _STAT.read_text().rpartition(")")[2].split()
    started = int(fields[_START_FIELD - 3]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def _fields(text: str) -> list[tuple[str, str]]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return [(key.strip(), value.strip()) for key, value in pairs]
