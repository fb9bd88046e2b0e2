"""Live metrics while a wave soaks. No data is never a pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ...api.rollout import MetricGate, RolloutSpec, WaveSpec
from ...api.rollout_status import GateReadings
from ..text import number, timestamp
from .fleet import Fleet, Reading, ReadingsWanted

Verdict = Literal["Passed", "Waiting", "Inconclusive", "Failed"]
_WORST: tuple[Verdict, ...] = ("Passed", "Waiting", "Inconclusive", "Failed")

_LEAST_SILENCE = 3
"""Intervals without a reading, at least, before earlier ones do not count any more: one scrape may be missed. A soak
that ends in silence longer than `count` readings take showed nothing: the runtime may have stopped working in it."""


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
    gauges = dict.fromkeys((gate.metric, gate.interval.value) for gate in rollout.gates)
    return [ReadingsWanted(metric, revision, start, now, interval) for metric, interval in gauges]


def judged(rollout: RolloutSpec, fleet: Fleet, over: bool, now: datetime) -> Judgement:
    """The worst verdict of all gates; `over` says whether the soak is."""
    found = [_judged(gate, fleet, over, now) for gate in rollout.gates]
    return max(found, key=lambda each: _WORST.index(each.verdict), default=Judgement("Passed"))


def gate_readings(rollout: RolloutSpec, fleet: Fleet) -> list[GateReadings]:
    """What each gate has read, for the user. It changes no more once a gate has what it needs, unless for the worse."""
    return [_readings(gate, _seen(gate, fleet)) for gate in rollout.gates]


def _seen(gate: MetricGate, fleet: Fleet) -> tuple[Reading, ...]:
    return fleet.readings.get((gate.metric, gate.interval.value), ())


def _readings(gate: MetricGate, readings: Sequence[Reading]) -> GateReadings:
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
    )


def _judged(gate: MetricGate, fleet: Fleet, over: bool, now: datetime) -> Judgement:
    readings = _seen(gate, fleet)
    bad = [reading for reading in readings if not _passes(gate, reading)]
    good = len(readings) - len(bad)
    if len(bad) > gate.failure_limit:
        worst = number(_worst(gate, bad), 4)
        return Judgement("Failed", f"{gate.metric} {worst} is not {gate.op} {number(gate.value, 4)}")
    silence = (now - readings[-1].at).total_seconds() if readings else 0.0
    if over and good >= gate.count and silence > max(gate.count, _LEAST_SILENCE) * gate.interval.value:
        return Judgement("Inconclusive", f"{gate.metric}: the last reading is of {timestamp(readings[-1].at)}")
    if good >= gate.count:
        return Judgement("Passed" if over else "Waiting")
    seen = f"{gate.metric}: {good} of {gate.count} readings passed"
    why = f" ({fleet.unreadable})" if fleet.unreadable else ""
    return Judgement("Inconclusive" if over else "Waiting", f"{seen}{why}")


def _passes(gate: MetricGate, reading: Reading) -> bool:
    return reading.value <= gate.value if gate.op == "<=" else reading.value >= gate.value


def _worst(gate: MetricGate, readings: Sequence[Reading]) -> float:
    values = [reading.value for reading in readings]
    return max(values) if gate.op == "<=" else min(values)
