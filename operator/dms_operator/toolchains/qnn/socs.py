"""The board catalog: which SoC each board carries, and what its HTP has.

Ids are those of the QNN SDK's QnnTypes.h. Every row was compiled for with QAIRT 2.51 and read back: the compiler's own
build record gives the name, the architecture, and the scratch memory that it plans with when none is asked for
(tests/toolchains/test_qnn_catalog.py repeats that). The id decides the architecture; QNN ignores a differing one.
"""

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
    fp16: bool = True
    """Whether its HTP computes floating point; without, only quantized graphs compile."""

    @property
    def title(self) -> str:
        """Short form such as `SA8255 v73`."""
        return f"{self.name} v{self.architecture}"


SOCS: dict[str, Soc] = {
    soc.name: soc
    for soc in (
        Soc("SM7325", 35, 68, 2, fp16=False),
        Soc("SA8295", 39, 68, 8),
        Soc("SM8550", 43, 73, 8),
        Soc("SA8255", 52, 73, 8),
        Soc("SM8650", 57, 75, 8),
        Soc("SA8540", 62, 68, 8),
        Soc("QCS8550", 66, 73, 8),
        Soc("SA8620P", 67, 75, 8),
        Soc("SM8750", 69, 79, 8),
        Soc("SA8797", 72, 81, 16),
        Soc("QCS9100", 77, 73, 8),
        Soc("QCS8300", 82, 75, 8),
        Soc("SM8850", 87, 81, 8),
        Soc("QCS6490", 93, 68, 2, fp16=False),
    )
}
"""By name, as the compiler writes it into a context binary."""

_BOARDS: dict[BoardType, str] = {
    # the QCS8255 board carries the die that the QNN SDK knows as SA8255, SA8775P and QCS9075 the one of QCS9100
    "qcs8255": "SA8255",
    "sa8255": "SA8255",
    "sa8775": "QCS9100",
    "qcs9100": "QCS9100",
    "sa8295": "SA8295",
    "sa8540": "SA8540",
    "sa8797": "SA8797",
    "qcs8300": "QCS8300",
    "qcs8550": "QCS8550",
    "qcs6490": "QCS6490",
}

_SIBLINGS = ({"SM7325", "QCS6490"}, {"SM8550", "QCS8550"})
"""One die under two ids, a phone's and an IoT part's: the `soc` option chooses, for runtimes that know only one."""


def soc_of(board: BoardType, override: str | None = None) -> Soc:
    """The SoC that a board is built for; `override` is a name or id of the same die family.

    Raises InvalidSpec for a board without a Qualcomm NPU, and for an override that the board could not load.
    """
    if board not in _BOARDS:
        hint = f"Toolchain qnn takes {', '.join(_BOARDS)}"
        raise InvalidSpec(f"board {board} has no Qualcomm NPU", hint=hint)
    carried = SOCS[_BOARDS[board]]
    return carried if override is None else _sibling(carried, override, board)


def soc_title(model: int) -> str:
    """Readable form of a QNN SoC id, such as `SA8295 (soc 39)`."""
    names = {soc.model: soc.name for soc in SOCS.values()}
    return f"{names.get(model, 'unknown')} (soc {model})"


def boards_of(soc: Soc) -> list[str]:
    """The board types that carry a SoC, for the documentation's table."""
    return [board for board, name in _BOARDS.items() if name == soc.name]


def _sibling(carried: Soc, override: str, board: str) -> Soc:
    found = next((soc for soc in SOCS.values() if override in (soc.name, str(soc.model))), None)
    family = next((names for names in _SIBLINGS if carried.name in names), {carried.name})
    if found is None or found.name not in family:
        wanted = override if found is None else found.title
        allowed = ", ".join(f"{name} ({SOCS[name].model})" for name in sorted(family))
        raise InvalidSpec(
            f"option soc is {wanted}, but board {board} carries {carried.title} and is not built for under that",
            hint=f"Write {allowed}, or choose another board",
        )
    return found
