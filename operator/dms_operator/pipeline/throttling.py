"""Processor frequency, temperature and throttling, read where the kernel shows them (sysfs); found by name.

Units after the kernel's documentation: frequency in kHz (admin-guide/pm/cpufreq), temperature in millidegrees
Celsius (driver-api/thermal/sysfs-api), throttle counts since boot (x86 thermal_throttle).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYS = Path("/sys")

_CPUS = "devices/system/cpu/cpu[0-9]*"
_FANS = ("fan", "pwm")
"""Cooling devices that slow nothing down."""


@dataclass(frozen=True)
class ClockState:
    """One look at the machine; every dictionary is empty where the kernel shows nothing."""

    frequency_khz: dict[str, int] = field(default_factory=dict)
    """Present frequency by processor."""
    limit_khz: dict[str, int] = field(default_factory=dict)
    """Highest frequency that the kernel allows at present, by processor."""
    governor: dict[str, str] = field(default_factory=dict)
    throttles: dict[str, int] = field(default_factory=dict)
    """Throttle events since boot by processor and counter."""
    celsius: dict[str, float] = field(default_factory=dict)
    """Temperature by thermal zone."""
    cooling: dict[str, int] = field(default_factory=dict)
    """State of passive cooling devices (0: nothing is slowed down), by type and number."""


def look(sys: Path = SYS) -> ClockState:
    """Read everything that is there."""
    return ClockState(
        frequency_khz=_numbers(sys, f"{_CPUS}/cpufreq/scaling_cur_freq", 1),
        limit_khz=_numbers(sys, f"{_CPUS}/cpufreq/scaling_max_freq", 1),
        governor={path.parts[-3]: _text(path) for path in sorted(sys.glob(f"{_CPUS}/cpufreq/scaling_governor"))},
        throttles=_counters(sys),
        celsius=_zones(sys),
        cooling=_cooling(sys),
    )


def throttled(before: ClockState, after: ClockState) -> list[str]:
    """What slowed the processor down between two looks, in words."""
    found = []
    for name, count in after.throttles.items():
        if count > before.throttles.get(name, count):
            found.append(f"{name} rose by {count - before.throttles[name]}")
    for name, state in after.cooling.items():
        if state > 0:
            found.append(f"cooling device {name} is at {state}")
    for name, limit in after.limit_khz.items():
        if limit < before.limit_khz.get(name, limit):
            found.append(f"{name} is limited to {limit / 1000:.0f} MHz")
    return found


def to_wire(before: ClockState, after: ClockState) -> dict[str, Any]:
    """For the report: both looks, and what follows."""
    return {"before": vars(before), "after": vars(after), "throttled": throttled(before, after)}


def _numbers(sys: Path, pattern: str, level: int) -> dict[str, int]:
    """Values by the name of the directory `level` above the file's own."""
    found = {path.parts[-2 - level]: _number(path) for path in sorted(sys.glob(pattern))}
    return {name: value for name, value in found.items() if value is not None}


def _counters(sys: Path) -> dict[str, int]:
    paths = sorted(sys.glob(f"{_CPUS}/thermal_throttle/*_throttle_count"))
    found = {f"{path.parts[-3]} {path.name}": _number(path) for path in paths}
    return {name: value for name, value in found.items() if value is not None}


def _zones(sys: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for zone in sorted(sys.glob("class/thermal/thermal_zone*")):
        temperature = _number(zone / "temp")
        if temperature is not None:
            found[_unique(_text(zone / "type"), found)] = temperature / 1000
    return found


def _cooling(sys: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for device in sorted(sys.glob("class/thermal/cooling_device*")):
        kind, state = _text(device / "type"), _number(device / "cur_state")
        if state is not None and not any(fan in kind.lower() for fan in _FANS):
            found[_unique(kind, found)] = state
    return found


def _unique(name: str, taken: dict[str, Any]) -> str:
    count = sum(each == name or each.startswith(f"{name} #") for each in taken)
    return name if not count else f"{name} #{count + 1}"


def _text(path: Path) -> str:
    """Content of a file, empty where the kernel has it, but does not answer (a sensor that is switched off)."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None
