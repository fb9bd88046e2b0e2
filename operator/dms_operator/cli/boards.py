"""`dms boards`: the board catalog, as a table, in full for one board, or as JSON."""

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from dms_operator.api.capabilities import BOARDS, Board, precisions_of
from dms_operator.api.catalog import Fact

UNKNOWN = "unknown"
_FACTS = {"tops": "TOPS (8 bit)", "memory_gb": "memory (GB)", "sensors": "power sensors", "price_class": "price class"}


def boards(
    output: Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="Output format.")] = "table",
    board: Annotated[str | None, typer.Option(help="Only this board, with the sources of its figures.")] = None,
) -> None:
    """Print the boards that a target may name, and what is publicly known about them."""
    if board is not None and board not in BOARDS:
        raise typer.BadParameter(f"there is no board {board!r}: use one of {', '.join(BOARDS)}")
    chosen = [BOARDS[board]] if board else list(BOARDS.values())
    if output == "json":
        print(json.dumps([to_wire(each) for each in chosen], indent=2))
    elif board:
        print("\n".join(full(chosen[0])))
    else:
        print("\n".join(table(chosen)))


def to_wire(board: Board) -> dict[str, Any]:
    """One board as JSON; a figure that nobody states is null."""
    facts = {name: asdict(fact) if (fact := getattr(board, name)) else None for name in _FACTS}
    return {
        "name": board.name,
        "title": board.title,
        "soc": board.soc or None,
        "machine": board.machine,
        "qnn": asdict(board.qnn) if board.qnn else None,
        "toolchains": {name: precisions_of(board.name, name) for name in board.toolchains},
        **facts,
    }


def table(chosen: list[Board]) -> list[str]:
    """One line per board."""
    rows: list[tuple[str, ...]] = [("BOARD", "SOC", "NPU", "TOOLCHAINS", "PRECISIONS", "TOPS", "MEMORY", "PRICE CLASS")]
    rows += [_row(board) for board in chosen]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(board: Board) -> tuple[str, ...]:
    memory = f"{board.memory_gb.value} GB" if board.memory_gb else UNKNOWN
    return (
        board.name,
        board.soc or "-",
        f"Hexagon v{board.qnn.architecture}" if board.qnn else "C7x/MMA" if "tidl" in board.toolchains else "-",
        ",".join(board.toolchains),
        ",".join(precisions_of(board.name, board.toolchains[0])),
        _value(board.tops),
        memory,
        _value(board.price_class),
    )


def full(board: Board) -> list[str]:
    """Everything about one board, each figure with its source."""
    lines = [f"{board.name}: {board.title}", f"  machine: {board.machine}"]
    if board.soc:
        lines.append(f"  soc: {board.soc}")
    if board.qnn:
        lines.append(f"  QNN: id {board.qnn.model}, Hexagon v{board.qnn.architecture}, VTCM {board.qnn.vtcm_mb} MiB")
    for name in board.toolchains:
        default = " (default)" if name == board.toolchains[0] else ""
        lines.append(f"  toolchain {name}{default}: {', '.join(precisions_of(board.name, name))}")
    for field, title in _FACTS.items():
        fact: Fact[Any] | None = getattr(board, field)
        lines.append(f"  {title}: {_value(fact)}" + (f"  [{fact.source}]" if fact else ""))
    return lines


def _value(fact: Fact[Any] | None) -> str:
    if fact is None:
        return UNKNOWN
    return ", ".join(fact.value) if isinstance(fact.value, tuple) else str(fact.value)
