"""The view as text, or as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from dms_operator.api.rollout_status import GateReadings
from dms_operator.controller.rollout.pauses import BACKWARD
from dms_operator.controller.text import number

from .vehicles import VehicleLine
from .view import RolloutView

NAMES_SHOWN = 10
"""Vehicles of a group that are named on its line."""


def as_text(view: RolloutView, *, every_vehicle: bool = False) -> str:
    """For a terminal. `every_vehicle`: a line for each, instead of one for each group."""
    parts = [
        [f"{view.name} in {view.namespace}: revision {view.revision}", view.headline],
        [f"note: {remark}" for remark in view.remarks],
        _waves(view),
        _vehicles(view.vehicles) if every_vehicle and view.vehicles else list(_groups(view)),
        [_gate(gate) for gate in view.gates],
        _titled("it waits", [f"{wait.reason} for {wait.lasts}: {wait.message}" for wait in view.waits]),
        _titled("you can", columns([(step.command, step.does) for step in view.steps])),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def as_json(view: RolloutView) -> str:
    """Everything as one document."""
    document = asdict(view) | {"gates": [gate.to_wire() for gate in view.gates]}
    return json.dumps(document, indent=2)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their cells below one another."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _titled(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _waves(view: RolloutView) -> list[str]:
    rows = [
        (wave.name, wave.size, f"{wave.updated} of {wave.desired}", wave.soak, wave.approval, wave.state)
        for wave in view.waves
    ]
    return columns([("WAVE", "SIZE", "UPDATED", "SOAK", "APPROVAL", "STATE"), *rows])


def _vehicles(vehicles: list[VehicleLine]) -> list[str]:
    rows = [(each.name, each.target, each.group, each.runs or "-", each.note) for each in vehicles]
    return columns([("VEHICLE", "TARGET", "STATE", "RUNS", "NOTE"), *rows])


def _groups(view: RolloutView) -> Iterator[str]:
    """One line for each group that has vehicles. On the way back it matters only what each runs."""
    if view.state in BACKWARD:
        for revision in dict.fromkeys(each.runs for each in view.vehicles):
            there = [each for each in view.vehicles if each.runs == revision]
            yield _group(f"run {revision}" if revision else "run nothing", len(there), there)
        return
    if not any(view.counts.values()):
        yield "no vehicles"
    for group, count in view.counts.items():
        if count:
            yield _group(group, count, [each for each in view.vehicles if each.group == group])


def _group(title: str, count: int, vehicles: list[VehicleLine]) -> str:
    named = [_named(each) for each in vehicles]
    more = f", and {len(named) - NAMES_SHOWN} more" if len(named) > NAMES_SHOWN else ""
    return f"{count:>6} {title:<12} {', '.join(named[:NAMES_SHOWN])}{more}".rstrip()


def _named(vehicle: VehicleLine) -> str:
    return f"{vehicle.name} ({vehicle.note})" if vehicle.group in ("failed", "offline") else vehicle.name


def _gate(gate: GateReadings) -> str:
    read = f"{gate.passed} of {gate.count} readings passed"
    failed = f"{gate.failed} failed ({gate.failure_limit} may)"
    worst = f", the worst is {gate.worst}" if gate.worst else ""
    silent = f"; silent vehicles: {gate.silent}" if gate.silent else ""
    return f"gate {gate.metric} {gate.op} {number(gate.value, 4)}: {read}, {failed}{worst}{silent}"
