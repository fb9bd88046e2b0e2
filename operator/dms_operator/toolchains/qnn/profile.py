"""Qualcomm's cost model: the `Simulated` rows of the profile that the compiler writes.

One block per partition (it starts with a FINALIZE row). With several partitions QNN writes a block again when the
next partition is finalized, so a block that equals the one before it counts once.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...api.errors import ConversionFailed

HEADER = ("Msg Timestamp", "Message", "Time", "Unit of Measurement", "Timing Source", "Event Level", "Event Identifier")
SOURCES = "ONNX Source Ops"
"""An eighth column when the provider also traces which ONNX nodes became which operator."""

_TIME = "Simulated (Accelerator exec time us)"
_LOWER = "Simulated (Accelerator exec time us (lower estimate))"
_UPPER = "Simulated (Accelerator exec time us (upper estimate))"
_MISSING = "Missing Ops (Number of Ops with no Costs associated)"
_OBJECT = "OBJECT"
"""Unit of a row without a number: it stands for the schedule, which only the binary log holds."""
_UNITS = {_TIME: "US", _LOWER: "US", _UPPER: "US"}

Block = dict[str, int]
"""Event identifier to value, in the event's own unit."""

_TRAFFIC = (
    "Input Fill",
    "Intermediate Fill",
    "Intermediate Spill",
    "Inter HTP Fill",
    "Inter HTP Spill",
    "Output Spill",
)
_NODE = re.compile(r"(?:(.+):|(Input|Output) )OpId_(\d+) \(cycles\)")


@dataclass(frozen=True)
class PartitionCost:
    """Estimated execution time of one partition in microseconds, and how many operators have no cost."""

    time_us: int
    lower_us: int
    upper_us: int
    missing_ops: int
    traffic: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Bytes between DDR and the HTP: fills (read) and spills (written), by kind."""


@dataclass(frozen=True)
class NodeCycles:
    """One operator's row of a detailed profile: cycles of the machine that ran it, and the ONNX nodes it came from."""

    name: str
    operator: int
    cycles: int
    sources: tuple[str, ...]


def parse_profile(text: str) -> list[PartitionCost]:
    """Costs of the partitions in order; blocks without `Simulated` rows (other SoCs) give nothing.

    Raises ConversionFailed for a file that is not such a profile.
    """
    blocks = _without_repeats(_blocks(csv.reader(io.StringIO(text), strict=True)))
    return [_cost(block) for block in blocks if _TIME in block]


def parse_nodes(text: str) -> list[NodeCycles]:
    """The NODE rows of one inference, in the order of execution. Raises ConversionFailed as `parse_profile` does."""
    rows = _rows(csv.reader(io.StringIO(text), strict=True))
    return [_node(row, number) for number, row in rows if row[1:2] == ["NODE"]]


def _node(row: list[str], number: int) -> NodeCycles:
    cycles, match = _value(row, number), _NODE.fullmatch(row[6])
    if match is None:
        raise ConversionFailed(f"the QNN profile's row {number} names no operator: {row[6][:80]!r}")
    sources = tuple(name for name in (row[7].split(";") if len(row) > len(HEADER) else []) if name)
    return NodeCycles(match[1] or match[2], int(match[3]), cycles, sources)


def _blocks(reader: Iterable[list[str]]) -> list[Block]:
    blocks: list[Block] = []
    for number, row in _rows(reader):
        value = _value(row, number)
        if row[1] == "FINALIZE" or not blocks:
            blocks.append({})
        blocks[-1][row[6]] = value
    return blocks


def _rows(reader: Iterable[list[str]]) -> Iterable[tuple[int, list[str]]]:
    try:
        for number, row in enumerate(reader, start=1):
            if number == 1 and tuple(row) not in (HEADER, (*HEADER, SOURCES)):
                raise ConversionFailed(f"the QNN profile begins with {','.join(row)[:80]!r}, not with its header")
            if number > 1 and row[3:4] != [_OBJECT]:
                yield number, row
    except csv.Error as error:
        raise ConversionFailed(f"the QNN profile is not CSV: {error}") from error


def _value(row: list[str], number: int) -> int:
    if len(row) not in (len(HEADER), len(HEADER) + 1) or not (row[2].isascii() and row[2].isdigit()):
        raise ConversionFailed(f"the QNN profile's row {number} is malformed: {','.join(row)[:80]!r}")
    unit = _UNITS.get(row[6])
    if unit is not None and row[3] != unit:
        raise ConversionFailed(f"the QNN profile's row {number} is in {row[3]!r}, expected {unit}")
    return int(row[2])


def _without_repeats(blocks: list[Block]) -> list[Block]:
    return [block for index, block in enumerate(blocks) if index == 0 or block != blocks[index - 1]]


def _cost(block: Block) -> PartitionCost:
    traffic = {kind: block[kind] for kind in _TRAFFIC if kind in block}
    try:
        cost = PartitionCost(block[_TIME], block[_LOWER], block[_UPPER], block.get(_MISSING, 0), traffic)
    except KeyError as error:
        raise ConversionFailed(f"a block of the QNN profile has no row {error}") from error
    if not cost.lower_us <= cost.time_us <= cost.upper_us:
        raise ConversionFailed(f"the QNN profile's estimates are not in order: {cost}")
    return cost
