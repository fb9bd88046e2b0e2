"""/healthz fails when a watch or the queue is dead; the watches' signs of life are their own requests."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from dms_operator.controller.health import MAX_STALL, Health
from dms_operator.controller.watching import STALE_AFTER, Stream, WatchMonitor, streams
from dms_operator.controller.web import application, serving


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _health(silent: dict[str, float] | None = None, stall: float = 0.0, synced: bool = True) -> Health:
    return Health(lambda: synced, lambda: silent or {}, lambda: stall)


def test_an_operator_whose_watches_live_and_whose_queue_moves_is_well() -> None:
    assert _health().problems() == []


def test_a_dead_watch_is_named_with_its_age() -> None:
    assert _health({"/api/v1/pods": 512.3}).problems() == ["watch /api/v1/pods: no sign of life for 512 s"]


def test_a_stuck_queue_is_a_problem() -> None:
    assert _health(stall=MAX_STALL).problems() == []
    assert len(_health(stall=MAX_STALL + 1).problems()) == 1


def test_an_operator_that_has_not_listed_yet_is_well_but_not_ready() -> None:
    health = _health(synced=False)
    assert health.problems() == []
    assert health.missing() == ["the first lists are not complete"]


async def test_probes_answer_over_http() -> None:
    state = {"lag": 0.0}
    health = Health(lambda: False, dict, lambda: state["lag"])
    async with (
        serving(application(health, CollectorRegistry(), lambda: iter(())), "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as http,
    ):
        base = f"http://127.0.0.1:{port}"
        assert (await http.get(f"{base}/healthz")).status == 200
        assert (await http.get(f"{base}/readyz")).status == 503
        assert (await http.get(f"{base}/metrics")).status == 200
        state["lag"] = MAX_STALL + 1
        answer = await http.get(f"{base}/healthz")
        assert (answer.status, "queue" in await answer.text()) == (503, True)


PODS = Stream("pods", None)
PAGE = {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}


class Api:
    """An HTTP server that lists two pods and opens empty watches."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.page: dict[str, Any] = PAGE

    async def pods(self, request: web.Request) -> web.Response:
        if "watch" in request.query:
            return web.Response(status=self.status)
        return web.json_response(self.page, status=self.status)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    server, app = Api(), web.Application()
    app.router.add_get("/api/v1/pods", server.pods)
    async with serving(app, "127.0.0.1", 0) as port:
        server.url = f"http://127.0.0.1:{port}/api/v1/pods"
        yield server


def _monitor(clock: Clock, listed: list[Any]) -> WatchMonitor:
    return WatchMonitor([PODS], lambda *told: listed.append(told), clock)


async def test_a_list_is_handed_over_whole_and_kopf_is_told_its_version_alone(api: Api) -> None:
    listed: list[Any] = []
    monitor = _monitor(Clock(), listed)
    async with aiohttp.ClientSession(middlewares=(monitor.middleware,)) as http:
        assert not monitor.synced
        response = await http.get(api.url)
        assert await response.json() == {**PAGE, "items": []}
    assert listed == [(PODS, PAGE, True)]
    assert monitor.synced


async def test_a_list_comes_in_pages_and_is_complete_with_the_last(api: Api) -> None:
    listed: list[Any] = []
    monitor = _monitor(Clock(), listed)
    async with aiohttp.ClientSession(middlewares=(monitor.middleware,)) as http:
        api.page = {**PAGE, "metadata": {"resourceVersion": "7", "continue": "more"}}
        await http.get(api.url, params={"limit": "2"})
        assert not monitor.synced
        api.page = PAGE
        await http.get(api.url, params={"limit": "2", "continue": "more"})
    assert [is_first for _, _, is_first in listed] == [True, False]
    assert monitor.synced


async def test_a_list_that_expires_between_its_pages_makes_kopf_list_anew(api: Api) -> None:
    api.status = 410
    async with aiohttp.ClientSession(middlewares=(_monitor(Clock(), []).middleware,)) as http:
        with pytest.raises(aiohttp.ClientPayloadError, match="expired"):
            await http.get(api.url, params={"continue": "more"})


async def test_an_opened_watch_is_a_sign_of_life_and_its_absence_is_not(api: Api) -> None:
    clock = Clock()
    monitor = _monitor(clock, [])
    async with aiohttp.ClientSession(middlewares=(monitor.middleware,)) as http:
        clock.now += STALE_AFTER
        await http.get(api.url, params={"watch": "true"})
        clock.now += STALE_AFTER
        assert monitor.silent() == {}
        clock.now += 1
        assert list(monitor.silent()) == ["/api/v1/pods"]


async def test_a_refused_watch_is_no_sign_of_life(api: Api) -> None:
    clock = Clock()
    monitor = _monitor(clock, [])
    api.status = 500
    async with aiohttp.ClientSession(middlewares=(monitor.middleware,)) as http:
        clock.now += STALE_AFTER + 1
        await http.get(api.url, params={"watch": "true"})
    assert list(monitor.silent()) == ["/api/v1/pods"]


async def test_a_resource_that_is_not_served_looks_like_a_lost_connection(api: Api) -> None:
    api.status = 404
    async with aiohttp.ClientSession(middlewares=(_monitor(Clock(), []).middleware,)) as http:
        with pytest.raises(aiohttp.ClientConnectionError, match="is its definition installed"):
            await http.get(api.url, params={"watch": "true"})


async def test_an_event_is_a_sign_of_life(api: Api) -> None:
    clock = Clock()
    monitor = _monitor(clock, [])
    async with aiohttp.ClientSession(middlewares=(monitor.middleware,)) as http:
        await http.get(api.url, params={"watch": "true"})
    clock.now += STALE_AFTER
    monitor.touch("pods", "any")
    clock.now += 1
    assert monitor.silent() == {}


def test_a_stream_that_never_opened_gets_the_same_patience_from_the_start() -> None:
    clock = Clock()
    monitor = _monitor(clock, [])
    assert monitor.silent() == {}
    clock.now += STALE_AFTER + 1
    assert list(monitor.silent()) == ["/api/v1/pods"]


def test_only_our_jobs_and_pods_and_of_nodes_only_boards_and_vehicles_are_watched() -> None:
    assert {stream.resource: stream.selector for stream in streams([])} == {
        "deployments": "",
        "jobs": "app.kubernetes.io/managed-by=dms-operator",
        "pods": "app.kubernetes.io/managed-by=dms-operator",
        "nodes": "dms.edge/board",
        "vehicles": "dms.edge/vehicle",
    }


def test_one_stream_per_resource_and_namespace() -> None:
    assert {stream.path for stream in streams([])} == {
        "/apis/dms.edge/v1alpha1/dmsmodeldeployments",
        "/apis/batch/v1/jobs",
        "/api/v1/pods",
        "/api/v1/nodes",
    }
    assert {stream.path for stream in streams(["x"])} == {
        "/apis/dms.edge/v1alpha1/namespaces/x/dmsmodeldeployments",
        "/apis/batch/v1/namespaces/x/jobs",
        "/api/v1/namespaces/x/pods",
        "/api/v1/nodes",
    }


def test_boards_and_vehicles_are_told_from_each_other_though_both_are_nodes() -> None:
    clock = Clock()
    monitor = WatchMonitor(streams([]), lambda *_: None, clock)
    clock.now += STALE_AFTER + 1
    monitor.alive(Stream("nodes", None))
    silent = monitor.silent()
    assert "/api/v1/nodes" not in silent
    assert "/api/v1/nodes?labelSelector=dms.edge/vehicle" in silent
