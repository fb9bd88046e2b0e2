"""TI's chips with a C7x/MMA accelerator, and what of TIDL each of them can do.

Source: TI edgeai-tidl-tools (README device table, docs/quantization.md, docs/multi_c7x.md), commit 95ba2c7.
"""

from dataclasses import dataclass

from ..capabilities import BOARDS, BoardType
from ..errors import InvalidSpec


@dataclass(frozen=True)
class Soc:
    """One chip. `variable` is its value of TI's environment variable SOC."""

    name: str
    title: str
    variable: str
    cores: int
    """C7x cores with a matrix unit that TIDL can use."""
    asymmetric: bool
    """Whether the matrix unit takes zero points and per-channel asymmetric scales."""

    @property
    def default_scale_type(self) -> str:
        """TI's advice: 1 (powers of two) on TDA4VM, 4 (asymmetric per channel) where the chip can."""
        return "4" if self.asymmetric else "1"


_SOCS = (
    Soc("J721E", "TDA4VM", "am68pa", cores=1, asymmetric=False),
    Soc("J721S2", "TDA4VE/TDA4AL (AM68A)", "am68a", cores=1, asymmetric=True),
    Soc("J784S4", "TDA4VH/TDA4AP (AM69A)", "am69a", cores=4, asymmetric=True),
    Soc("J722S", "TDA4VEN/TDA4AEN (AM67A)", "am67a", cores=2, asymmetric=True),
    Soc("AM62A", "AM62A", "am62a", cores=1, asymmetric=True),
)
_BY_NAME = {name.lower(): soc for soc in _SOCS for name in (soc.name, soc.variable)}
_WITHOUT_ACCELERATOR = {"am62"}


def soc_named(name: str) -> Soc:
    """The chip of a TI name (J721E) or SOC variable (am68pa), in any case. Raises InvalidSpec."""
    if name.lower() in _WITHOUT_ACCELERATOR:
        raise InvalidSpec(f"{name} has no C7x/MMA accelerator", hint="Use toolchain onnxruntime on its Arm cores")
    if name.lower() not in _BY_NAME:
        known = ", ".join(f"{soc.name} ({soc.variable})" for soc in _SOCS)
        raise InvalidSpec(f"toolchain tidl knows no chip {name!r}", hint=f"It knows {known}")
    return _BY_NAME[name.lower()]


def soc_of(board: BoardType) -> Soc:
    """The chip that a board carries. Raises InvalidSpec for boards without one of TI's."""
    return soc_named(BOARDS[board].soc or board)
