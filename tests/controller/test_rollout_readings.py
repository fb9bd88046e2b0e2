"""Readings for the gates: what Prometheus is asked, how often, and that nothing it says can break or pass anything."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.builders import START
from dms_operator.api.rollout import MetricName
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.prometheus import ANSWER_LIMIT, PER_VEHICLE, POINTS
from dms_operator.controller.rollout.fleet import Fleet, Gauge, Reading, ReadingsWanted, Vehicle
from dms_operator.controller.rollout_readings import QUERIES, Readings, heard, query, worst
from dms_operator.controller.settings import FleetSettings

NAME = ObjectName("perception", "driver")
FLEET = Fleet((Vehicle("car", "qcs8255"),))
P99 = Gauge("p99LatencyMs", 60.0)
VOLUME = {"hostPath": {"path": "/var/lib/dms"}}


def wanted(
    minutes: float, metric: MetricName = "p99LatencyMs", *, start: datetime = START, revision: str = "abc"
) -> ReadingsWanted:
    """Readings once a minute over so many minutes."""
    return ReadingsWanted(Gauge(metric, 60.0), revision, start, start + timedelta(minutes=minutes))


def matrix(*series: list[tuple[float, str]]) -> dict[str, Any]:
    """An answer of /api/v1/query_range."""
    result = [{"metric": {}, "values": [list(value) for value in values]} for values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def vector(*values: tuple[dict[str, str], str]) -> dict[str, Any]:
    """An answer of /api/v1/query."""
    result = [{"metric": labels, "value": [61.0, value]} for labels, value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


ONE_READING = matrix([(61.0, "1")])


class FakePrometheus:
    """Answers what the test says; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.asked_who_told: list[dict[str, str]] = []
        self.answer: Callable[[], web.Response] = lambda: web.json_response(matrix())
        self.told: Callable[[], web.Response] = lambda: web.json_response(vector())

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        return self.answer()

    async def handle_who_told(self, request: web.Request) -> web.Response:
        self.asked_who_told.append(dict(request.query))
        return self.told()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scene:
    def __init__(self, prometheus: FakePrometheus, url: str) -> None:
        self.prometheus, self.clock = prometheus, Clock()
        self.readings = Readings(FleetSettings(volume=VOLUME, prometheus=url), self.clock)

    async def read(self, *asked: ReadingsWanted) -> Fleet:
        return await self.readings.add_to(FLEET, NAME, asked)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    prometheus = FakePrometheus()
    application = web.Application()
    application.router.add_get("/api/v1/query_range", prometheus.handle)
    application.router.add_get("/api/v1/query", prometheus.handle_who_told)
    async with TestServer(application) as server:
        yield Scene(prometheus, str(server.make_url("/")))


async def test_readings_begin_one_interval_after_the_soak_began_and_come_in_order(scene: Scene) -> None:
    first = START.timestamp() + 60
    scene.prometheus.answer = lambda: web.json_response(matrix([(first, "12.5"), (first + 60, "13")]))
    fleet = await scene.read(wanted(2.5))
    assert fleet.vehicles == FLEET.vehicles and fleet.unreadable == ""
    minute = timedelta(minutes=1)
    assert fleet.readings == {P99: (Reading(START + minute, 12.5), Reading(START + 2 * minute, 13.0))}
    (asked,) = scene.prometheus.asked
    assert (asked["start"], asked["end"], asked["step"]) == (f"{first:.3f}", f"{first + 60:.3f}", "60.000")


async def test_before_the_first_interval_is_over_nothing_is_asked(scene: Scene) -> None:
    fleet = await scene.read(wanted(0.9))
    assert fleet.readings == {P99: ()} and fleet.unreadable == ""
    assert scene.prometheus.asked == []


async def test_what_no_vehicle_reported_is_no_reading(scene: Scene) -> None:
    scene.prometheus.answer = lambda: web.json_response(matrix([(1.0, "NaN"), (61.0, "+Inf")]))
    fleet = await scene.read(wanted(2))
    assert [reading.value for reading in fleet.readings[P99]] == [float("inf")]
    scene.prometheus.answer = lambda: web.json_response(matrix())
    assert (await scene.read(wanted(3))).readings == {P99: ()}


async def test_prometheus_is_asked_once_for_each_reading_however_often_we_look(scene: Scene) -> None:
    for seconds in range(0, 190, 10):
        scene.clock.now = seconds
        await scene.read(wanted(seconds / 60))
    assert len(scene.prometheus.asked) == 3


async def test_another_soak_or_revision_is_asked_for_at_once(scene: Scene) -> None:
    await scene.read(wanted(2))
    await scene.read(wanted(2, start=START + timedelta(seconds=1)))
    await scene.read(wanted(2, revision="def"))
    await scene.read(wanted(2, "errorRate"))
    assert len(scene.prometheus.asked) == 4


async def test_a_failure_is_told_and_tried_again_after_an_interval(scene: Scene) -> None:
    scene.prometheus.answer = lambda: web.Response(status=503, text="starting")
    fleet = await scene.read(wanted(2))
    assert fleet.readings == {}
    assert fleet.unreadable.startswith("p99LatencyMs: what answers with HTTP 503 is no Prometheus: check fleet.prom")
    scene.prometheus.answer = lambda: web.json_response(matrix([(61.0, "1")]))
    assert (await scene.read(wanted(2))).unreadable
    scene.clock.now = 60
    assert (await scene.read(wanted(2))).unreadable == ""


async def test_of_two_metrics_the_one_that_can_be_read_is_read(scene: Scene) -> None:
    answers = iter([web.json_response(matrix([(61.0, "1")])), web.Response(status=404)])
    scene.prometheus.answer = lambda: next(answers)
    fleet = await scene.read(wanted(1), wanted(1, "errorRate"))
    assert len(fleet.readings) == 1 and fleet.unreadable


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (vector(({"node": "car"}, "3"), ({"node": "van"}, "1")), {P99: {"car": 3, "van": 1}}),
        (vector(({"node": "car"}, "3"), ({}, "1")), {P99: {"car": 3}}),
        (vector(({}, "3")), {}),
        (vector(), {P99: {}}),
    ],
    ids=["each vehicle", "one value has no node", "a query that tells none apart", "nobody"],
)
async def test_it_is_known_how_many_readings_each_vehicle_gave_if_the_query_tells_them_apart(
    scene: Scene, answer: dict[str, Any], told: dict[Gauge, dict[str, int]]
) -> None:
    scene.prometheus.answer = lambda: web.json_response(ONE_READING)
    scene.prometheus.told = lambda: web.json_response(answer)
    assert (await scene.read(wanted(2.5))).told == told
    (asked,) = scene.prometheus.asked_who_told
    assert asked["time"] == f"{START.timestamp() + 120:.3f}"
    assert "[120000ms:60000ms]" in asked["query"]


async def test_a_metric_is_not_read_where_it_cannot_be_known_who_told(scene: Scene) -> None:
    scene.prometheus.answer = lambda: web.json_response(ONE_READING)
    scene.prometheus.told = lambda: web.json_response({"status": "error", "error": "too many samples"}, status=422)
    fleet = await scene.read(wanted(1))
    assert (fleet.readings, fleet.told) == ({}, {})
    assert "refuses the query (HTTP 422: too many samples)" in fleet.unreadable


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"status": "error", "errorType": "bad_data", "error": "parse error"}, "refuses the query (HTTP 400: parse"),
        (matrix([(1.0, "1")], [(1.0, "2")]), "the query gives 2 series"),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, "is no Prometheus"),
        (matrix([(1.0, "much")]), "is no Prometheus"),
        ([1, 2], "is no Prometheus"),
    ],
)
async def test_an_answer_that_cannot_be_used_says_what_to_change(scene: Scene, answer: Any, complaint: str) -> None:
    scene.prometheus.answer = lambda: web.json_response(answer, status=400)
    fleet = await scene.read(wanted(1))
    assert fleet.readings == {} and complaint in fleet.unreadable


async def test_an_endless_answer_is_not_read_to_its_end(scene: Scene) -> None:
    scene.prometheus.answer = lambda: web.Response(body=b" " * (ANSWER_LIMIT + PER_VEHICLE + 1))
    assert "is longer than" in (await scene.read(wanted(1))).unreadable


async def test_where_nobody_answers_it_is_said_so() -> None:
    readings = Readings(FleetSettings(volume=VOLUME, prometheus="http://127.0.0.1:1"))
    fleet = await readings.add_to(FLEET, NAME, [wanted(1)])
    assert fleet.readings == {} and "Prometheus cannot be reached" in fleet.unreadable


@pytest.mark.parametrize("settings", [None, FleetSettings(volume=VOLUME)])
async def test_without_a_prometheus_the_setting_is_named(settings: FleetSettings | None) -> None:
    fleet = await Readings(settings).add_to(FLEET, NAME, [wanted(1)])
    assert fleet.unreadable == "p99LatencyMs: no Prometheus is known: set fleet.prometheus in the operator's settings"


async def test_a_long_soak_is_asked_for_in_pieces_that_prometheus_allows(scene: Scene) -> None:
    await scene.read(wanted(POINTS + 1))
    first, second = scene.prometheus.asked
    assert float(first["start"]) == START.timestamp() + 60
    assert float(second["start"]) == float(first["end"]) + 60 == float(second["end"])


async def test_what_is_forgotten_is_asked_for_anew(scene: Scene) -> None:
    await scene.read(wanted(1))
    scene.readings.forget(NAME)
    await scene.read(wanted(1))
    assert len(scene.prometheus.asked) == 2


@pytest.mark.parametrize("metric", QUERIES)
def test_the_default_queries_name_this_rollout_and_leave_nothing_open(metric: MetricName) -> None:
    text = query(wanted(1, metric), NAME, FleetSettings(volume=VOLUME))
    assert 'namespace="perception",deployment="driver",revision=~"abc([0-9a-f]{12})?"' in text
    assert "$" not in text
    assert ("[60000ms]" in text) == (metric != "temperatureCelsius")


def test_a_query_of_ones_own_may_hold_dollar_signs() -> None:
    own = 'max(temp{revision="$revision",sensor=~"npu$"})'
    settings = FleetSettings(volume=VOLUME, queries={"temperatureCelsius": own})
    assert query(wanted(1, "temperatureCelsius"), NAME, settings) == 'max(temp{revision="abc",sensor=~"npu$"})'


def test_a_query_of_ones_own_may_end_with_a_comment() -> None:
    for whole in (worst(wanted(1), "temp # of the NPU"), heard(wanted(1), "temp # of the NPU")):
        assert "temp # of the NPU\n)" in whole


@pytest.mark.parametrize(("op", "aggregate"), [("<=", "max"), (">=", "min")])
def test_the_worst_vehicle_is_the_one_nearest_to_the_wrong_side_of_the_bound(op: Any, aggregate: str) -> None:
    gauge = Gauge("temperatureCelsius", 60.0, op)
    assert worst(ReadingsWanted(gauge, "abc", START, START), "temp") == f"{aggregate}(\ntemp\n)"
