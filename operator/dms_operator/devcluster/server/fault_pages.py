"""The endpoint by which faults are asked for: `/-/faults` for rules, `/-/happenings` for events.

Both need the cluster's token, like everything else; kubectl's --raw reaches them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import ValidationError

from dms_operator.devcluster import errors
from dms_operator.devcluster.faults.happenings import HAPPENING, NodeControl, happen
from dms_operator.devcluster.faults.rules import FaultPlan
from dms_operator.devcluster.server.faulty import ADMIN
from dms_operator.devcluster.server.responses import json_response

if TYPE_CHECKING:
    from dms_operator.devcluster.server.server import ApiServer


class FaultPages:
    """Handlers of the endpoint."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.nodes: NodeControl | None = None

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get(f"{ADMIN}faults", self._show),
            web.post(f"{ADMIN}faults", self._use),
            web.delete(f"{ADMIN}faults", self._clear),
            web.post(f"{ADMIN}happenings", self._happen),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        """The plan, and how often each rule matched and struck."""
        faults = self._server.faults
        tallies = [tally._asdict() for tally in faults.tallies]
        return json_response({**faults.plan.model_dump(mode="json"), "tallies": tallies})

    async def _use(self, request: web.Request) -> web.Response:
        try:
            self._server.faults.use(FaultPlan.model_validate_json(await request.read()))
        except ValidationError as problem:
            raise errors.bad_request(f"this is no fault plan: {problem}") from problem
        return await self._show(request)

    async def _clear(self, request: web.Request) -> web.Response:
        self._server.faults.use(FaultPlan())
        return await self._show(request)

    async def _happen(self, request: web.Request) -> web.Response:
        try:
            event = HAPPENING.validate_json(await request.read())
        except ValidationError as problem:
            raise errors.bad_request(f"this cannot happen: {problem}") from problem
        happen(self._server, self.nodes, event, request.transport)
        return json_response(event.model_dump(mode="json"), 202)
