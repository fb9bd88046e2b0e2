"""Energy counters of x86 processors (Intel RAPL, AMD as well), by the powercap class.

Units (Documentation/power/powercap): energy_uj and max_energy_range_uj in microjoules; the counter starts again
from zero above its range. Zones are told by their `name` (package-0, psys), never by their number.
"""

from pathlib import Path

from .source import PowerUnavailable, Reading, number, text


class Zone:
    """One counter that never runs backwards."""

    def __init__(self, path: Path) -> None:
        self._counter = path / "energy_uj"
        self._range = number(path / "max_energy_range_uj")
        self._last = number(self._counter)
        self._rounds = 0

    def joules(self) -> float:
        """Energy since the counter was zero for the first time after this object was made."""
        now = number(self._counter)
        if now < self._last:
            self._rounds += 1
        self._last = now
        return (now + self._rounds * self._range) * 1e-6


class Rapl:
    """The sum of the processor packages, or the platform where the processor counts that."""

    def __init__(self, names: list[str], zones: list[Zone]) -> None:
        self._zones = zones
        self.name = f"RAPL {' + '.join(names)}"

    def read(self) -> Reading:
        """Energy of all zones together."""
        return Reading(joules=sum(zone.joules() for zone in self._zones))


def find(sys: Path) -> Rapl | None:
    """The counters, or None without any. Raises PowerUnavailable when they may not be read."""
    zones = {
        text(path / "name"): path for path in sorted(sys.glob("class/powercap/*")) if (path / "energy_uj").exists()
    }
    names = [name for name in zones if name == "psys"] or sorted(name for name in zones if name.startswith("package"))
    if not names:
        return None
    try:
        return Rapl(names, [Zone(zones[name]) for name in names])
    except PermissionError as error:
        raise PowerUnavailable(f"RAPL counters {', '.join(names)} may be read by root alone") from error
