"""A battery that discharges, by the power_supply class.

Units (Documentation/ABI/testing/sysfs-class-power): power_now in microwatts, current_now in microamperes (negative
while discharging on some drivers), voltage_now in microvolts.
"""

from pathlib import Path

from .source import PowerUnavailable, Reading, number, text


class Battery:
    """What a discharging battery gives is what the board takes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"battery {path.name}"

    def read(self) -> Reading:
        """Present power. Raises PowerUnavailable once the battery does not discharge."""
        state = text(self._path / "status")
        if state != "Discharging":
            raise PowerUnavailable(f"{self.name} is {state.lower() or 'silent'}: unplug the charger to measure")
        if (self._path / "power_now").is_file():
            return Reading(watts=abs(number(self._path / "power_now")) * 1e-6)
        current, voltage = number(self._path / "current_now"), number(self._path / "voltage_now")
        return Reading(watts=abs(current) * 1e-6 * voltage * 1e-6)


def find(sys: Path) -> Battery | None:
    """The first battery of the board itself, or None. Raises PowerUnavailable when it does not discharge."""
    for path in sorted(sys.glob("class/power_supply/*")):
        # scope Device: the battery of a mouse or a phone
        if text(path / "type") == "Battery" and text(path / "scope") != "Device":
            battery = Battery(path)
            battery.read()
            return battery
    return None
