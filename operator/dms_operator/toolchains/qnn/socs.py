"""Which SoC each board carries. Ids from the QNN SDK's QnnTypes.h, architectures from the HTP documentation."""

from dataclasses import dataclass

from ...api.capabilities import BoardType
from ...api.errors import InvalidSpec


@dataclass(frozen=True)
class Soc:
    """A Qualcomm SoC: QNN's id, Hexagon architecture number, and HTP scratch memory in MiB."""

    name: str
    model: int
    architecture: int
    vtcm_mb: int

    @property
    def title(self) -> str:
        """Short form such as `SA8255 v73`."""
        return f"{self.name} v{self.architecture}"


# the QCS8255 board carries the die that the QNN SDK knows as SA8255
_SA8255 = Soc("SA8255", 52, 73, 8)
_SOCS: dict[BoardType, Soc] = {"qcs8255": _SA8255, "sa8255": _SA8255}

_OTHER_NAMES = {39: "SA8295", 43: "SM8550", 57: "SM8650", 66: "QCS8550", 77: "QCS9100", 82: "QCS8300"}


def soc_of(board: BoardType) -> Soc:
    """The SoC of a board type. Raises InvalidSpec for a board without a Qualcomm NPU."""
    try:
        return _SOCS[board]
    except KeyError:
        raise InvalidSpec(f"board {board} has no Qualcomm NPU", hint="Toolchain qnn takes qcs8255 or sa8255") from None


def soc_title(model: int) -> str:
    """Readable form of a QNN SoC id, such as `SA8295 (soc 39)`."""
    names = {soc.model: soc.name for soc in _SOCS.values()} | _OTHER_NAMES
    return f"{names.get(model, 'unknown')} (soc {model})"
