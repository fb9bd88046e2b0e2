"""Live metrics while a wave soaks. No data is never a pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ...api.rollout import MetricGate, RolloutSpec, WaveSpec
from ...api.rollout_status import GateReadings
from ..text import number
from .fleet import Fleet, MetricName, Reading, ReadingsWanted

Verdict = Literal["Passed", "Waiting", "Inconclusive", "Failed"]
_WORST: tuple[Verdict, ...] = ("Passed", "Waiting", "Inconclusive", "Failed")


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
    """What the gates have to know: each metric once, at the shortest interval that a gate asks for."""
    intervals: dict[MetricName, float] = {}
    for gate in rollout.gates:
        intervals[gate.metric] = min(gate.interval.value, intervals.get(gate.metric, gate.interval.value))
    return [ReadingsWanted(metric, revision, start, now, interval) for metric, interval in intervals.items()]


def judged(rollout: RolloutSpec, fleet: Fleet, over: bool) -> Judgement:
    """The worst verdict of all gates; `over` says whether the soak is."""
    found = [_judged(gate, fleet, over) for gate in rollout.gates]
    return max(found, key=lambda each: _WORST.index(each.verdict), default=Judgement("Passed"))


def gate_readings(rollout: RolloutSpec, fleet: Fleet) -> list[GateReadings]:
    """What each gate has read, for the user. It changes no more once a gate has what it needs, unless for the worse."""
    return [_readings(gate, fleet.readings.get(gate.metric, ())) for gate in rollout.gates]


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


def _judged(gate: MetricGate, fleet: Fleet, over: bool) -> Judgement:
    readings = fleet.readings.get(gate.metric, ())
    bad = [reading for reading in readings if not _passes(gate, reading)]
    good = len(readings) - len(bad)
    if len(bad) > gate.failure_limit:
        worst = number(_worst(gate, bad), 4)
        return Judgement("Failed", f"{gate.metric} {worst} is not {gate.op} {number(gate.value, 4)}")
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
