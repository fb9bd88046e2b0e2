"""Live metrics of the vehicles for a rollout's gates, read from Prometheus by range queries.

Nothing that goes wrong here ends a reconcile or lets a gate pass: it is told as a text, and the reading is missing.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from string import Template
from typing import Literal

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from .object_cache import ObjectName
from .rollout.fleet import Fleet, Gauge, MetricName, Reading, ReadingsWanted
from .settings import FleetSettings

_log = logging.getLogger(__name__)

_RUNS = 'namespace="$namespace",deployment="$deployment",revision="$revision"'
QUERIES: dict[MetricName, str] = {
    "p99LatencyMs": "1000 * max(histogram_quantile(0.99, sum by (node, le) "
    f"(rate(dms_vehicle_inference_seconds_bucket{{{_RUNS}}}[$interval]))))",
    "errorRate": f"max(sum by (node) (rate(dms_vehicle_inference_errors_total{{{_RUNS}}}[$interval])) / "
    f"sum by (node) (rate(dms_vehicle_inferences_total{{{_RUNS}}}[$interval])))",
    "temperatureCelsius": f"max(dms_vehicle_temperature_celsius{{{_RUNS}}})",
}
"""The worst vehicle's value, of the metrics that a vehicle's runtime exports (docs/rollout.md, "Live metrics")."""

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
"""Seconds for one question: a reconcile waits for it, and the next one asks again."""
POINTS = 10_000
"""Readings of one answer; Prometheus gives 11,000 at most ("exceeded maximum resolution of 11,000 points")."""
ANSWER_LIMIT = 64 * POINTS + 64 * 1024
"""Bytes of an answer that are read: a time and a value take some 40 bytes of JSON."""


class Unreadable(Exception):
    """A metric could not be read; the text says why, and what to change."""


def query(wanted: ReadingsWanted, name: ObjectName, settings: FleetSettings) -> str:
    """The PromQL of a metric, with the names of this rollout put in."""
    text = settings.queries.get(wanted.metric, QUERIES[wanted.metric])
    interval = f"{max(1, round(wanted.interval_seconds * 1000))}ms"
    return Template(text).safe_substitute(
        namespace=name.namespace, deployment=name.name, revision=wanted.revision, interval=interval
    )


@dataclass(frozen=True)
class _Answered:
    """What came of a question, and when (seconds, monotonic) it was asked."""

    question: tuple[str, datetime, float, int]
    at: float
    readings: tuple[Reading, ...] = ()
    problem: str = ""


@dataclass
class Readings:
    """Asks Prometheus; each gauge of a deployment when a new reading is due, and not before."""

    settings: FleetSettings | None
    clock: Callable[[], float] = time.monotonic
    _answered: dict[tuple[ObjectName, Gauge], _Answered] = field(default_factory=dict)

    async def add_to(self, fleet: Fleet, name: ObjectName, wanted: Sequence[ReadingsWanted]) -> Fleet:
        """The fleet with the readings that are wanted of it. Raises nothing but what ends the operator."""
        answers = await asyncio.gather(*(self._read(name, each) for each in wanted))
        told = {each.gauge: answer for each, answer in zip(wanted, answers, strict=True)}
        readings = {gauge: answer.readings for gauge, answer in told.items() if not answer.problem}
        problems = dict.fromkeys(
            f"{metric}: {answer.problem}" for (metric, _), answer in told.items() if answer.problem
        )
        return replace(fleet, readings=readings, unreadable="; ".join(problems))

    def forget(self, name: ObjectName) -> None:
        """A deployment is gone, or rolls out nothing any more."""
        for key in [key for key in self._answered if key[0] == name]:
            del self._answered[key]

    async def _read(self, name: ObjectName, wanted: ReadingsWanted) -> _Answered:
        points = _points(wanted)
        question = (wanted.revision, wanted.start, wanted.interval_seconds, points)
        last = self._answered.get((name, wanted.gauge))
        if last and last.question == question and self.clock() - last.at < wanted.interval_seconds:
            return last
        answer = await self._ask(name, wanted, _Answered(question, self.clock()))
        self._answered[name, wanted.gauge] = answer
        return answer

    async def _ask(self, name: ObjectName, wanted: ReadingsWanted, asked: _Answered) -> _Answered:
        try:
            return replace(asked, readings=await self._readings(name, wanted))
        except Unreadable as error:
            _log.warning("%s of %s: %s", wanted.metric, "/".join(name), error)
            return replace(asked, problem=str(error))

    async def _readings(self, name: ObjectName, wanted: ReadingsWanted) -> tuple[Reading, ...]:
        if self.settings is None or self.settings.prometheus is None:
            raise Unreadable("no Prometheus is known: set fleet.prometheus in the operator's settings")
        url = f"{self.settings.prometheus.rstrip('/')}/api/v1/query_range"
        text = query(wanted, name, self.settings)
        found: list[Reading] = []
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            for parameters in _ranges(wanted):
                found += _parsed(*await _get(session, url, {"query": text, **parameters}))
        return tuple(found)


def _points(wanted: ReadingsWanted) -> int:
    """Readings that there can be by now: the first one interval after the start, for it looks back so far."""
    return max(0, int((wanted.end - wanted.start).total_seconds() / wanted.interval_seconds))


def _ranges(wanted: ReadingsWanted) -> Iterator[Mapping[str, str]]:
    """Parameters of the questions that give all readings, in order."""
    step, points = wanted.interval_seconds, _points(wanted)
    for first in range(1, points + 1, POINTS):
        last = min(first + POINTS - 1, points)
        start, end = (wanted.start + timedelta(seconds=step * number) for number in (first, last))
        yield {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}", "step": f"{step:.3f}"}


async def _get(session: aiohttp.ClientSession, url: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
    try:
        async with session.get(url, params=parameters, allow_redirects=False) as response:
            text = b""
            async for piece in response.content.iter_any():
                text += piece
                if len(text) > ANSWER_LIMIT:
                    raise Unreadable(f"Prometheus' answer is longer than {ANSWER_LIMIT} bytes: {_AGGREGATE}")
            return response.status, text
    except (aiohttp.ClientError, TimeoutError) as error:
        why = f"{type(error).__name__} {error}".strip()
        raise Unreadable(
            f"Prometheus cannot be reached ({why}): check fleet.prometheus in the operator's settings"
        ) from error


_AGGREGATE = "let the query in fleet.queries give one series, such as max(...)"


class _Series(BaseModel):
    values: list[tuple[float, float]]


class _Matrix(BaseModel):
    result_type: Literal["matrix"] = Field(alias="resultType")
    result: list[_Series]


class _Answer(BaseModel):
    """Prometheus' HTTP API, /api/v1/query_range."""

    status: Literal["success"]
    data: _Matrix


class _Refusal(BaseModel):
    error: str


def _parsed(status: int, text: bytes) -> list[Reading]:
    """The readings of an answer; a value that is no number, such as a rate of nothing, is no reading."""
    try:
        series = _Answer.model_validate_json(text).data.result
    except ValidationError as error:
        raise Unreadable(_complaint(status, text)) from error
    if len(series) > 1:
        raise Unreadable(f"the query gives {len(series)} series: {_AGGREGATE}")
    return [
        Reading(datetime.fromtimestamp(at, UTC), value)
        for each in series
        for at, value in each.values
        if not math.isnan(value)
    ]


def _complaint(status: int, text: bytes) -> str:
    try:
        said = _Refusal.model_validate_json(text).error
    except ValidationError:
        return f"what answers with HTTP {status} is no Prometheus: check fleet.prometheus in the operator's settings"
    return f"Prometheus refuses the query (HTTP {status}: {said}): check fleet.queries in the operator's settings"
