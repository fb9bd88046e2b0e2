"""Which Qualcomm SoC each board carries, and what its HTP has: the catalog's rows (api/boards.toml) for toolchain qnn.

The id decides the architecture; QNN ignores a differing one.
"""

from ..capabilities import BOARDS, BoardType
from ..catalog import QNN_CHIPS, QnnChip
from ..errors import InvalidSpec

Soc = QnnChip
SOCS = QNN_CHIPS
"""By name, as the compiler writes it into a context binary."""

_BOARDS: dict[str, str] = {board.name: board.soc for board in BOARDS.values() if "qnn" in board.toolchains}

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
