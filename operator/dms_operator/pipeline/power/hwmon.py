"""Power monitors of the hwmon class: INA2xx and relatives on the board's rails.

Units (Documentation/hwmon/sysfs-interface): power*_input and power*_average in microwatts, in*_input in millivolts,
curr*_input in milliamperes, energy*_input in microjoules. hwmonN has no stable order: chips are told by their `name`,
rails by their label, or by the bus address of the chip.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .source import PowerUnavailable, Reading, number, text

CHIPS = re.compile(r"ina(209|219|220|226|228|230|231|232|234|237|238|260|3221)|sy24655|sq52206|power_meter")
"""Names that the kernel's drivers ina209, ina2xx, ina238, ina3221 and acpi_power_meter give."""

CHIPS_VARIABLE = "DMS_POWER_CHIPS"
"""Further chip names, separated by commas."""
RAILS_VARIABLE = "DMS_POWER_RAILS"
"""Labels of the rails that make up the board, separated by commas; default: the total rail, else all rails."""

_TOTAL = re.compile(r"(^|[^a-z])(total|system|sys|vin|vbat|board|input|vdd_in)($|[^a-z])", re.IGNORECASE)
"""Labels of a rail that feeds all others: adding those would count them twice."""


@dataclass(frozen=True)
class Rail:
    """One channel; `power` in microwatts, or `volts` in millivolts and `amperes` in milliamperes."""

    label: str
    power: Path | None
    volts: Path | None = None
    amperes: Path | None = None

    def watts(self) -> float:
        """Present power. Raises OSError, PowerUnavailable."""
        if self.power:
            return number(self.power) * 1e-6
        assert self.volts and self.amperes
        return number(self.volts) * 1e-3 * number(self.amperes) * 1e-3


class Hwmon:
    """The sum of some rails."""

    def __init__(self, chips: list[str], rails: list[Rail]) -> None:
        self._rails = rails
        self.name = f"hwmon {', '.join(chips)}: {' + '.join(rail.label for rail in rails)}"

    def read(self) -> Reading:
        """Present power of all rails together."""
        return Reading(watts=sum(rail.watts() for rail in self._rails))


def find(sys: Path) -> Hwmon | None:
    """The board's rails, or None without any. Raises PowerUnavailable when a rail that was named does not exist."""
    chips = [path for path in sorted(sys.glob("class/hwmon/hwmon*")) if _is_monitor(text(path / "name"))]
    rails = [rail for chip in chips for rail in _rails(chip)]
    if not rails:
        return None
    names = list(dict.fromkeys(text(chip / "name") for chip in chips))
    return Hwmon(names, _chosen(rails))


def _is_monitor(name: str) -> bool:
    more = os.environ.get(CHIPS_VARIABLE, "").split(",")
    return CHIPS.fullmatch(name) is not None or (name != "" and name in more)


def _chosen(rails: list[Rail]) -> list[Rail]:
    asked = [each for each in os.environ.get(RAILS_VARIABLE, "").split(",") if each]
    if missing := [label for label in asked if label not in [rail.label for rail in rails]]:
        raise PowerUnavailable(
            f"{RAILS_VARIABLE} names {', '.join(missing)}, but the rails are {', '.join(rail.label for rail in rails)}"
        )
    if asked:
        return [rail for rail in rails if rail.label in asked]
    return [rail for rail in rails if _TOTAL.search(rail.label)] or rails


def _rails(chip: Path) -> Iterator[Rail]:
    powers = sorted({path.name.split("_")[0] for path in chip.glob("power[0-9]*_*")})
    for channel in powers:
        file = next(
            (chip / f"{channel}_{kind}" for kind in ("input", "average") if _answers(chip, channel, kind)), None
        )
        if file:
            yield Rail(_label(chip, channel), file)
    if not powers:
        # INA3221 gives voltage and current of its three channels, no product
        for voltage in sorted(chip.glob("in[1-3]_input")):
            current = chip / voltage.name.replace("in", "curr", 1)
            if current.is_file() and text(chip / voltage.name.replace("input", "enable")) != "0":
                yield Rail(_label(chip, voltage.name.split("_")[0]), None, voltage, current)


def _answers(chip: Path, channel: str, kind: str) -> bool:
    return (chip / f"{channel}_{kind}").is_file()


def _label(chip: Path, channel: str) -> str:
    """What the board calls the rail; without that the chip's name and bus address, which are stable too."""
    given = text(chip / f"{channel}_label") or text(chip / "label")
    device = (chip / "device").resolve().name if (chip / "device").exists() else "?"
    return given or f"{text(chip / 'name')}@{device}/{channel}"
