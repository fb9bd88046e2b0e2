"""Lets the faults of a plan happen to requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.faults.plan import Tallies, decide, fresh
from dms_operator.devcluster.faults.refusals import refusal
from dms_operator.devcluster.faults.rules import Ask, Delay, DisturbWatch, Fault, FaultPlan, Halve, Refuse, SkewClock
from dms_operator.devcluster.faults.skew import skewed
from dms_operator.devcluster.faults.streams import Chunks, disturbed
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.server.paths import UnknownGroup, parse
from dms_operator.devcluster.server.query import flag
from dms_operator.devcluster.server.requests import BODY_FILTER
from dms_operator.devcluster.server.responses import STREAM_FILTER

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ADMIN = "/-/"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class FaultInjector:
    """Holds the plan and what it has done; `middleware` belongs before the check of the token."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.plan = FaultPlan()
        self.tallies: Tallies = ()

    def use(self, plan: FaultPlan) -> None:
        """Follow this plan from here on, with fresh counts."""
        self.plan, self.tallies = plan, fresh(plan)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer as the rules say."""
        if not self.plan.rules or request.path.startswith(ADMIN):
            return await handler(request)
        ask = asked(self._resources, request)
        faults, self.tallies = decide(self.plan, self.tallies, ask)
        for fault in faults:
            await _before(request, fault, ask)
        response = await handler(request)
        for fault in faults:
            response = await _after(request, response, fault, ask)
        return response


def asked(resources: Resources, request: web.Request) -> Ask:
    """What a request asks for, in the words of rules."""
    agent = request.headers.get("User-Agent", "")
    verb = _VERBS.get(request.method, "get")
    parts = request.path.strip("/").split("/")
    if parts[0] not in ("api", "apis") or len(parts) <= (2 if parts[0] == "api" else 3):
        return Ask(verb, agent=agent)
    try:
        target = parse(resources, request.path)
    except (UnknownGroup, ApiError):
        return Ask(verb, agent=agent)
    if not target.name:
        reading = "watch" if flag(request.query, "watch") else "list"
        verb = {"get": reading, "delete": "deletecollection"}.get(verb, verb)
    return Ask(verb, target.info.qualified, target.namespace or "", target.name, agent)


async def _before(request: web.Request, fault: Fault, ask: Ask) -> None:
    if isinstance(fault, Delay):
        await asyncio.sleep(fault.seconds)
    elif isinstance(fault, Refuse) and not fault.late:
        raise refusal(fault, ask)
    elif isinstance(fault, DisturbWatch):
        request[STREAM_FILTER] = _filter(request, fault)
    elif isinstance(fault, SkewClock):
        request[BODY_FILTER] = lambda body: skewed(body, fault.seconds)


async def _after(request: web.Request, response: web.StreamResponse, fault: Fault, ask: Ask) -> web.StreamResponse:
    if isinstance(fault, Refuse) and fault.late:
        raise refusal(fault, ask)
    if isinstance(fault, Halve) and isinstance(response, web.Response):
        return await _halved(request, response, fault.share)
    return response


def _filter(request: web.Request, fault: DisturbWatch) -> Callable[[Chunks], Chunks]:
    return lambda chunks: disturbed(chunks, fault, lambda: _cut(request))


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()  # after what was written has gone out


async def _halved(request: web.Request, whole: web.Response, share: float) -> web.StreamResponse:
    body = whole.body if isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(status=whole.status, headers=whole.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: int(len(body) * share)])
    _cut(request)
    return half
