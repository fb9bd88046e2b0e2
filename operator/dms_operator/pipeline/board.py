"""Where the board is: in this machine, at the end of a link, or nowhere near."""

import json
import os
from collections.abc import Mapping
from typing import Protocol

from ..api.board_connection import (
    CONNECTIONS_VARIABLE,
    CREDENTIALS_PATH,
    NODE_ADDRESS_VARIABLE,
    Connection,
    InvalidConnection,
    parse_connection,
)
from ..api.capabilities import BoardType, ToolchainName
from ..api.errors import BoardRefused
from ..artifacts.paths import sandboxed
from ..toolchains.base import Progress, Toolchain
from ..toolchains.registry import toolchain
from .context import StageContext
from .links.connected import ConnectedBoard
from .links.make import make_link
from .links.runner import RemoteRunner
from .machine import node_name
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
    """The board that figures can be measured on from here; None where there is none.

    Raises BoardRefused for a connection that is described wrongly.
    """
    connection = node_connection(os.environ)
    if connection.kind == "local":
        return LocalBoard() if tools.has_target(board) else None
    address = os.environ.get(NODE_ADDRESS_VARIABLE) or "127.0.0.1"
    link = make_link(connection, sandboxed(CREDENTIALS_PATH), context.scratch("link"), address)
    return ConnectedBoard(RemoteRunner(link, connection))


def is_at_hand(name: ToolchainName, board: BoardType) -> bool:
    """Whether figures can be measured from here. Raises BoardRefused, ToolchainUnavailable."""
    return node_connection(os.environ).kind != "local" or toolchain(name).has_target(board)


def node_connection(environment: Mapping[str, str]) -> Connection:
    """How the board of this pod's node is reached. Raises BoardRefused."""
    text = json.loads(environment.get(CONNECTIONS_VARIABLE) or "{}").get(node_name(), "local")
    try:
        return parse_connection(text)
    except InvalidConnection as error:
        raise BoardRefused(
            f"node {node_name()}: {error}", hint="Correct the node's annotation dms.edge/board-connection"
        ) from error
