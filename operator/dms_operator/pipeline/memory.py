"""Memory of this process: its peak (resident pages, and buffers shared with accelerators), and giving back."""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc/self")

_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)
_RESIDENT = re.compile(r"^VmRSS:\s*(\d+) kB", re.MULTILINE)
_SIZE = re.compile(r"^size:\s*(\d+)", re.MULTILINE)


def give_back_freed() -> None:
    """Give freed memory back to the system: glibc keeps it, and what comes next may take its own on top."""
    ctypes.CDLL(None).malloc_trim(0)


class MemoryWatch:
    """Made before the model is loaded; `peak_bytes` tells what came on top of that."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._resets = _reset_peak(proc)
        self._before = _kilobytes(proc, _RESIDENT) + _shared(proc)

    def peak_bytes(self) -> int | None:
        """Highest memory since then, above what the process had before; None where the kernel keeps no such peak."""
        if not self._resets:
            return None
        return max(0, _kilobytes(self._proc, _PEAK) + _shared(self._proc) - self._before)


def _reset_peak(proc: Path) -> bool:
    """Write 5 to clear_refs: the peak becomes the present size (Documentation/filesystems/proc.rst)."""
    try:
        (proc / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _kilobytes(proc: Path, pattern: re.Pattern[str]) -> int:
    found = pattern.search((proc / "status").read_text())
    return int(found.group(1)) * 1024 if found else 0


def _shared(proc: Path) -> int:
    """Bytes of dma-buf buffers: the kernel lists size and exporter of each in fdinfo."""
    return sum(_dma_buffers(proc / "fdinfo"))


def _dma_buffers(directory: Path) -> Iterator[int]:
    for path in directory.iterdir():
        try:
            content = path.read_text()
        except FileNotFoundError:
            # the descriptor that listed the directory is closed by now
            continue
        size = _SIZE.search(content)
        if "exp_name:" in content and size:
            yield int(size.group(1))
