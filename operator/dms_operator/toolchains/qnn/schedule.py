"""The schedule that Qualcomm's cost model assumes for the SoC: cycles and memory traffic per QNN operator.

At profiling level `optrace` the compiler adds to the profiling log the modelled execution as a Chrome trace per
partition ("Hextimate"). The log's frame around the trace is binary and its layout is not documented: only the JSON in
it is read, and what is not such a trace gives nothing. SoCs without cost model have none.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_BEGINS = re.compile(rb"\{\s*\"traceEvents\":")
_OPERATOR_BITS = 0xFFFFFFFF
"""An event's id holds QNN's operator id in its low 32 bits; the high ones number the steps it was split into."""


@dataclass
class OperatorCost:
    """Modelled cycles of one operator, and its bytes from and to the DDR. Cycles of units overlap in time."""

    compute: int = 0
    transfer: int = 0
    ddr_read: int = 0
    ddr_write: int = 0


@dataclass
class Schedule:
    """One partition: costs by QNN operator id."""

    operators: dict[int, OperatorCost] = field(default_factory=dict)


def parse_schedules(log: bytes) -> list[Schedule]:
    """The schedules of a log's partitions in order; a trace that repeats one before it counts once."""
    found: list[list[dict[str, Any]]] = []
    for match in _BEGINS.finditer(log):
        events = _events(log[match.start() :])
        if events and events not in found:
            found.append(events)
    return [_schedule(events) for events in found]


def _events(text: bytes) -> list[dict[str, Any]]:
    """The complete events of the trace that begins here; the other keys of the document are left alone."""
    decoded = text[: text.find(b"\x00")].decode("utf-8", "replace") if b"\x00" in text else text.decode()
    start = decoded.find("[")
    try:
        events, _ = json.JSONDecoder().raw_decode(decoded, start)
    except ValueError:
        return []
    return [event for event in events if isinstance(event, dict) and event.get("ph") == "X"]


def _schedule(events: Iterable[dict[str, Any]]) -> Schedule:
    schedule = Schedule()
    for event in events:
        details = event.get("args", {})
        operator = int(str(details.get("id", "0")), 16) & _OPERATOR_BITS
        cost = schedule.operators.setdefault(operator, OperatorCost())
        _add(cost, str(event.get("name", "")), int(event.get("dur", 0)), details)
    return schedule


def _add(cost: OperatorCost, name: str, cycles: int, details: dict[str, Any]) -> None:
    flags = details.get("flags", [])
    if "for_dma" in flags:
        cost.transfer += cycles
        traffic = details.get("bw_info", {})
        cost.ddr_read += int(traffic.get("dram_read", 0))
        cost.ddr_write += int(traffic.get("dram_write", 0))
    elif name.startswith("q::"):
        # the rest starts and awaits other units' work: counting it would count the work twice
        cost.compute += cycles
