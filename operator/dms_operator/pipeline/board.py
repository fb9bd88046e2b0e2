"""Where the board is: in this machine, at the end of a link, or nowhere near."""

from typing import Protocol

from ..api.capabilities import BoardType
from ..toolchains.base import Progress, Toolchain
from .context import StageContext
from .on_board.job import BoardInputs, BoardJob, BoardRun
from .on_board.run import run_job


class Board(Protocol):
    """Carries out a job on a board."""

    def run(self, job: BoardJob, inputs: BoardInputs, progress: Progress) -> BoardRun:
        """Raise ToolchainUnavailable, ConversionFailed; on a link BoardUnreachable, BoardRefused, BoardRunFailed."""
        ...


class LocalBoard:
    """The board is the machine that this process runs on."""

    def run(self, job: BoardJob, inputs: BoardInputs, progress: Progress) -> BoardRun:
        """As Board says."""
        return run_job(job, inputs, progress)


def board_at_hand(tools: Toolchain, board: BoardType, context: StageContext) -> Board | None:
    """The board that figures can be measured on from here; None where there is none."""
    return LocalBoard() if tools.has_target(board) else None
