"""Finds what can measure the board's power: an external meter first, then rails, counters, a battery.

An external meter is a plugin: a distribution with an entry point in the group `dms_operator.power_meters` whose
object is called without arguments and gives a `PowerSource`, or None when no meter is attached.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from . import battery, hwmon, rapl
from .source import PowerSource, PowerUnavailable

SYS = Path("/sys")
GROUP = "dms_operator.power_meters"

_FINDERS: tuple[Callable[[Path], PowerSource | None], ...] = (hwmon.find, rapl.find, battery.find)


def find_source(sys: Path = SYS) -> PowerSource:
    """The best source at hand. Raises PowerUnavailable with what was looked for, and what stood in the way."""
    obstacles: list[str] = []
    for find in (_external, *(lambda find=find: find(sys) for find in _FINDERS)):
        try:
            if source := find():
                source.read()
                return source
        except (OSError, PowerUnavailable) as error:
            obstacles.append(str(error))
    looked = "no external meter, no hwmon power monitor, no RAPL counter and no battery answers on this machine"
    raise PowerUnavailable("; ".join(obstacles) or looked)


def _external() -> PowerSource | None:
    for entry in entry_points(group=GROUP):
        try:
            found: PowerSource | None = entry.load()()
        except PowerUnavailable:
            raise
        except Exception as error:  # whatever a plugin raises must not end the benchmark, but be told
            raise PowerUnavailable(f"power meter {entry.name} failed: {type(error).__name__}: {error}") from error
        if found:
            return found
    return None
