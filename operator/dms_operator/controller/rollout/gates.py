"""Live metrics while a wave soaks. No data is never a pass, of the fleet or of one of its vehicles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ...api.rollout import MetricGate, RolloutSpec, WaveSpec
from ...api.rollout_status import GateReadings
from ..text import number, timestamp
from .fleet import Fleet, Gauge, Reading, ReadingsWanted

Verdict = Literal["Passed", "Waiting", "Inconclusive", "Failed"]
_WORST: tuple[Verdict, ...] = ("Passed", "Waiting", "Inconclusive", "Failed")

_LEAST_SILENCE = 3
"""Intervals without a reading, at least, before earlier ones do not count any more: one scrape may be missed. A soak
that ends in silence longer than `count` readings take showed nothing: the runtime may have stopped working in it."""


_NAMED = 3
"""Vehicles that a message names."""


@dataclass(frozen=True)
class Witnesses:
    """Vehicles of which a gate must have heard."""

    names: Sequence[str] = ()
    may_be_silent: int = 0


@dataclass(frozen=True)
class Judgement:
    """What the gates of a wave say."""

    verdict: Verdict
    message: str = ""


def soak_end(rollout: RolloutSpec, wave: WaveSpec, reached: datetime) -> datetime:
    """When a wave has soaked: not before each gate could have had its readings."""
    needed = [gate.interval.value * gate.count for gate in rollout.gates]
    return reached + timedelta(seconds=max([wave.soak.value, *needed]))


def readings_of(rollout: RolloutSpec, revision: str, start: datetime, now: datetime) -> list[ReadingsWanted]:
    """What the gates have to know: each metric once for each interval at which a gate reads it."""
    gauges = dict.fromkeys(map(_gauge, rollout.gates))
    return [ReadingsWanted(gauge, revision, start, now) for gauge in gauges]


def judged(rollout: RolloutSpec, fleet: Fleet, witnesses: Witnesses, over: bool, now: datetime) -> Judgement:
    """The worst verdict of all gates; `over` says whether the soak is."""
    found = [_judged(gate, fleet, witnesses, over, now) for gate in rollout.gates]
    return max(found, key=lambda each: _WORST.index(each.verdict), default=Judgement("Passed"))


def gate_readings(rollout: RolloutSpec, fleet: Fleet, witnesses: Witnesses) -> list[GateReadings]:
    """What each gate has read, for the user. It changes no more once a gate has what it needs, unless for the worse."""
    return [_readings(gate, fleet, witnesses) for gate in rollout.gates]


def _gauge(gate: MetricGate) -> Gauge:
    return Gauge(gate.metric, gate.interval.value, gate.op)


def _seen(gate: MetricGate, fleet: Fleet) -> tuple[Reading, ...]:
    return fleet.readings.get(_gauge(gate), ())


def _silent(gate: MetricGate, fleet: Fleet, witnesses: Witnesses) -> list[str]:
    """Vehicles that have not given their readings: it may be the revision that keeps them from it."""
    told = fleet.told.get(_gauge(gate))
    return [] if told is None else [name for name in witnesses.names if told.get(name, 0) < gate.count]


def _readings(gate: MetricGate, fleet: Fleet, witnesses: Witnesses) -> GateReadings:
    readings = _seen(gate, fleet)
    good = sum(_passes(gate, reading) for reading in readings)
    return GateReadings(
        metric=gate.metric,
        op=gate.op,
        value=gate.value,
        passed=min(good, gate.count),
        count=gate.count,
        failed=len(readings) - good,
        failure_limit=gate.failure_limit,
        worst=f"{_worst(gate, readings):.6g}" if readings else "",
        # before they are due, all would be silent
        silent=len(_silent(gate, fleet, witnesses)) if len(readings) >= gate.count else 0,
    )


def _judged(gate: MetricGate, fleet: Fleet, witnesses: Witnesses, over: bool, now: datetime) -> Judgement:
    readings = _seen(gate, fleet)
    bad = [reading for reading in readings if not _passes(gate, reading)]
    good = len(readings) - len(bad)
    if len(bad) > gate.failure_limit:
        worst = number(_worst(gate, bad), 4)
        return Judgement("Failed", f"{gate.metric} {worst} is not {gate.op} {number(gate.value, 4)}")
    silence = (now - readings[-1].at).total_seconds() if readings else 0.0
    if over and good >= gate.count and silence > max(gate.count, _LEAST_SILENCE) * gate.interval.value:
        return Judgement("Inconclusive", f"{gate.metric}: the last reading is of {timestamp(readings[-1].at)}")
    silent = _silent(gate, fleet, witnesses) if over and good >= gate.count else []
    if len(silent) > witnesses.may_be_silent:
        return Judgement("Inconclusive", f"{gate.metric}: fewer than {gate.count} readings of {_names(silent)}")
    if good >= gate.count:
        return Judgement("Passed" if over else "Waiting")
    seen = f"{gate.metric}: {good} of {gate.count} readings passed"
    none = "" if readings else "Prometheus has none of this revision"
    why = f" ({fleet.unreadable or none})" if fleet.unreadable or none else ""
    return Judgement("Inconclusive" if over else "Waiting", f"{seen}{why}")


def _names(vehicles: Sequence[str]) -> str:
    more = f" and {len(vehicles) - _NAMED} more" if len(vehicles) > _NAMED else ""
    return f"{', '.join(vehicles[:_NAMED])}{more}"


def _passes(gate: MetricGate, reading: Reading) -> bool:
    return reading.value <= gate.value if gate.op == "<=" else reading.value >= gate.value


def _worst(gate: MetricGate, readings: Sequence[Reading]) -> float:
    values = [reading.value for reading in readings]
    return max(values) if gate.op == "<=" else min(values)
