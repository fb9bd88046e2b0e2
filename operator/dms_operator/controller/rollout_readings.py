"""Live metrics of the vehicles for a rollout's gates, read from Prometheus.

A range query gives the worst vehicle's values over the soak, a subquery how many readings each vehicle has given.
Nothing that goes wrong here ends a reconcile or lets a gate pass: it is told as a text, and the reading is missing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from string import Template

import aiohttp

from ..api.rollout import MetricName
from .object_cache import ObjectName
from .prometheus import POINTS, TIMEOUT, Prometheus, Unreadable
from .rollout.fleet import Fleet, Gauge, Reading, ReadingsWanted
from .rollout.naming import ARTIFACT_DIGITS
from .settings import FleetSettings

_log = logging.getLogger(__name__)

_RUNS = f'namespace="$namespace",deployment="$deployment",revision=~"$revision([0-9a-f]{{{ARTIFACT_DIGITS}}})?"'
QUERIES: dict[MetricName, str] = {
    "p99LatencyMs": "1000 * histogram_quantile(0.99, sum by (node, le) "
    f"(rate(dms_vehicle_inference_seconds_bucket{{{_RUNS}}}[$interval])))",
    "errorRate": f"sum by (node) (rate(dms_vehicle_inference_errors_total{{{_RUNS}}}[$interval])) / "
    f"sum by (node) (rate(dms_vehicle_inferences_total{{{_RUNS}}}[$interval]))",
    "temperatureCelsius": f"max by (node) (dms_vehicle_temperature_celsius{{{_RUNS}}})",
}
"""A value per vehicle, of the metrics that a vehicle's runtime exports (docs/rollout.md, "Live metrics")."""

NODE = "node"
"""The label that tells vehicles apart."""


def query(wanted: ReadingsWanted, name: ObjectName, settings: FleetSettings) -> str:
    """The PromQL of a metric, with the names of this rollout put in."""
    metric = wanted.gauge.metric
    return Template(settings.queries.get(metric, QUERIES[metric])).safe_substitute(
        namespace=name.namespace, deployment=name.name, revision=wanted.revision, interval=_milliseconds(wanted)
    )


def worst(wanted: ReadingsWanted, values: str) -> str:
    """The worst vehicle's value. The query stands on lines of its own, for it may end with a comment."""
    return f"{'max' if wanted.gauge.op == '<=' else 'min'}(\n{values}\n)"


def heard(wanted: ReadingsWanted, values: str) -> str:
    """How many readings each vehicle has given in the soak: NaN, as a rate of nothing, is none."""
    span = f"{_points(wanted) * int(_milliseconds(wanted)[:-2])}ms"
    return f"count_over_time((max by ({NODE}) (\n{values}\n) >= -Inf)[{span}:{_milliseconds(wanted)}])"


def _milliseconds(wanted: ReadingsWanted) -> str:
    return f"{max(1, round(wanted.gauge.interval_seconds * 1000))}ms"


@dataclass(frozen=True)
class _Answered:
    """What came of a question, and when (seconds, monotonic) it was asked."""

    question: tuple[str, datetime, float, int]
    at: float
    readings: tuple[Reading, ...] = ()
    told: Mapping[str, int] | None = None
    problem: str = ""


@dataclass
class Readings:
    """Asks Prometheus; each gauge of a deployment when a new reading is due, and not before."""

    settings: FleetSettings | None
    clock: Callable[[], float] = time.monotonic
    _answered: dict[tuple[ObjectName, Gauge], _Answered] = field(default_factory=dict)

    async def add_to(self, fleet: Fleet, name: ObjectName, wanted: Sequence[ReadingsWanted]) -> Fleet:
        """The fleet with the readings that are wanted of it. Raises nothing but what ends the operator."""
        answers = await asyncio.gather(*(self._read(name, each, len(fleet.vehicles)) for each in wanted))
        found = {each.gauge: answer for each, answer in zip(wanted, answers, strict=True)}
        readings = {gauge: answer.readings for gauge, answer in found.items() if not answer.problem}
        told = {gauge: answer.told for gauge, answer in found.items() if answer.told is not None}
        problems = dict.fromkeys(
            f"{gauge.metric}: {answer.problem}" for gauge, answer in found.items() if answer.problem
        )
        return replace(fleet, readings=readings, told=told, unreadable="; ".join(problems))

    def forget(self, name: ObjectName) -> None:
        """A deployment is gone, or rolls out nothing any more."""
        for key in [key for key in self._answered if key[0] == name]:
            del self._answered[key]

    async def _read(self, name: ObjectName, wanted: ReadingsWanted, vehicles: int) -> _Answered:
        interval = wanted.gauge.interval_seconds
        question = (wanted.revision, wanted.start, interval, _points(wanted))
        last = self._answered.get((name, wanted.gauge))
        if last and last.question == question and self.clock() - last.at < interval:
            return last
        answer = await self._ask(name, wanted, _Answered(question, self.clock()), vehicles)
        self._answered[name, wanted.gauge] = answer
        return answer

    async def _ask(self, name: ObjectName, wanted: ReadingsWanted, asked: _Answered, vehicles: int) -> _Answered:
        try:
            if self.settings is None or self.settings.prometheus is None:
                raise Unreadable("no Prometheus is known: set fleet.prometheus in the operator's settings")
            values = query(wanted, name, self.settings)
            async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
                prometheus = Prometheus(session, f"{self.settings.prometheus.rstrip('/')}/api/v1", vehicles)
                return await _answered(prometheus, wanted, values, asked)
        except Unreadable as error:
            _log.warning("%s of %s: %s", wanted.gauge.metric, "/".join(name), error)
            return replace(asked, problem=str(error))


async def _answered(prometheus: Prometheus, wanted: ReadingsWanted, values: str, asked: _Answered) -> _Answered:
    step, found = wanted.gauge.interval_seconds, list[Reading]()
    for start, end in _pieces(wanted):
        found += await prometheus.values(worst(wanted, values), start, end, step)
    if not found:
        return asked
    told = await prometheus.by_label(heard(wanted, values), NODE, _time(wanted, _points(wanted)))
    counts = None if told is None else {node: int(number) for node, number in told.items()}
    return replace(asked, readings=tuple(found), told=counts)


def _points(wanted: ReadingsWanted) -> int:
    """Readings that there can be by now: the first one interval after the start, for it looks back so far."""
    return max(0, int((wanted.end - wanted.start).total_seconds() / wanted.gauge.interval_seconds))


def _pieces(wanted: ReadingsWanted) -> Iterator[tuple[datetime, datetime]]:
    """First and last reading of each question, in order: Prometheus does not answer them all at once."""
    for first in range(1, _points(wanted) + 1, POINTS):
        yield _time(wanted, first), _time(wanted, min(first + POINTS - 1, _points(wanted)))


def _time(wanted: ReadingsWanted, number: int) -> datetime:
    return wanted.start + timedelta(seconds=wanted.gauge.interval_seconds * number)
