"""What every source of power figures has in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class PowerUnavailable(Exception):
    """Power cannot be measured; the message is the reason, for the user."""


@dataclass(frozen=True)
class Reading:
    """One look at a source: the present power, or the energy since some fixed time; exactly one of them."""

    watts: float | None = None
    joules: float | None = None


class PowerSource(Protocol):
    """A sensor, a set of rails, or an external meter. Plugins implement this."""

    @property
    def name(self) -> str:
        """Kind and rails, such as `hwmon ina226 VDD_CPU + VDD_DDR`."""
        ...

    def read(self) -> Reading:
        """Look once, in milliseconds. Raises OSError or PowerUnavailable when the source does not answer."""
        ...


def text(path: Path) -> str:
    """A sysfs attribute; empty when it is not there."""
    return path.read_text().strip() if path.is_file() else ""


def number(path: Path) -> int:
    """A sysfs attribute that is an integer. Raises OSError, or PowerUnavailable when it is no number."""
    value = path.read_text().strip()
    try:
        return int(value)
    except ValueError as error:
        raise PowerUnavailable(f"{path.name} of {text(path.parent / 'name')} says {value!r}, not a number") from error
