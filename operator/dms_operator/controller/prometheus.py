"""Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/), as far as gates ask it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from .rollout.fleet import Reading

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
"""Seconds for one question: a reconcile waits for it, and the next one asks again."""
POINTS = 10_000
"""Readings of one answer; Prometheus gives 11,000 at most ("exceeded maximum resolution of 11,000 points")."""
ANSWER_LIMIT = 64 * POINTS + 64 * 1024
"""Bytes of an answer that are read: a time and a value take some 40 bytes of JSON."""
PER_VEHICLE = 512
"""Bytes that an answer may be longer for each vehicle: a node's name has up to 253 characters."""


_Answer = TypeVar("_Answer", bound=BaseModel)


class Unreadable(Exception):
    """A metric could not be read; the text says why, and what to change."""


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus, and how many vehicles it may name in an answer."""

    session: aiohttp.ClientSession
    url: str
    vehicles: int

    async def values(self, query: str, start: datetime, end: datetime, step: float) -> list[Reading]:
        """Values of a query that gives one, every `step` seconds; none where it is no number, as a rate of nothing.

        Raises Unreadable, as `by_label` does.
        """
        times = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}", "step": f"{step:.3f}"}
        answer = await self._get("query_range", {"query": query, **times}, _Ranges)
        if len(answer.data.result) > 1:
            raise Unreadable(f"the query gives {len(answer.data.result)} series: {_AGGREGATE}")
        return [
            Reading(datetime.fromtimestamp(at, UTC), value)
            for series in answer.data.result
            for at, value in series.values
            if not math.isnan(value)
        ]

    async def by_label(self, query: str, label: str, at: datetime) -> Mapping[str, float] | None:
        """Values of a query by a label; None when there are series, and none of them has it."""
        answer = await self._get("query", {"query": query, "time": f"{at.timestamp():.3f}"}, _Instants)
        found = {each.metric[label]: each.value[1] for each in answer.data.result if label in each.metric}
        return found if found or not answer.data.result else None

    async def _get(self, path: str, parameters: Mapping[str, str], kind: type[_Answer]) -> _Answer:
        limit = ANSWER_LIMIT + PER_VEHICLE * self.vehicles
        try:
            async with self.session.get(f"{self.url}/{path}", params=parameters, allow_redirects=False) as response:
                text = b""
                async for piece in response.content.iter_any():
                    text += piece
                    if len(text) > limit:
                        raise Unreadable(f"Prometheus' answer is longer than {limit} bytes: {_AGGREGATE}")
        except (aiohttp.ClientError, TimeoutError) as error:
            why = f"{type(error).__name__} {error}".strip()
            raise Unreadable(f"Prometheus cannot be reached ({why}): check {_SETTING}") from error
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            raise Unreadable(_complaint(response.status, text)) from error


_SETTING = "fleet.prometheus in the operator's settings"
_AGGREGATE = "let the query in fleet.queries give one series for each node"


class _Range(BaseModel):
    values: list[tuple[float, float]]


class _Matrix(BaseModel):
    result_type: Literal["matrix"] = Field(alias="resultType")
    result: list[_Range]


class _Ranges(BaseModel):
    """/api/v1/query_range."""

    status: Literal["success"]
    data: _Matrix


class _Instant(BaseModel):
    metric: dict[str, str]
    value: tuple[float, float]


class _Vector(BaseModel):
    result_type: Literal["vector"] = Field(alias="resultType")
    result: list[_Instant]


class _Instants(BaseModel):
    """/api/v1/query."""

    status: Literal["success"]
    data: _Vector


class _Refusal(BaseModel):
    error: str


def _complaint(status: int, text: bytes) -> str:
    try:
        said = _Refusal.model_validate_json(text).error
    except ValidationError:
        return f"what answers with HTTP {status} is no Prometheus: check {_SETTING}"
    return f"Prometheus refuses the query (HTTP {status}: {said}): check fleet.queries in the operator's settings"
