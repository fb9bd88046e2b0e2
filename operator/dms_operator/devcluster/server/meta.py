"""Paths that are not objects: health, version, discovery and OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from dms_operator.devcluster import discovery
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.schema.openapi import group_document
from dms_operator.devcluster.server.negotiation import DISCOVERY, wants_aggregated_discovery
from dms_operator.devcluster.server.responses import json_response, not_found_page, raw


class MetaPages:
    """Handlers of the pages about the API itself."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._documents: tuple[int, Mapping[str, bytes]] = (-1, {})

    def routes(self) -> list[web.RouteDef]:
        """The routes; discovery of single groups is done by `discover`."""
        pages = [web.get(path, self._ok) for path in ("/healthz", "/livez", "/readyz")]
        return [
            *pages,
            web.get("/version", self._version),
            web.get("/openapi/v3", self._openapi_index),
            web.get("/openapi/v3/{path:.+}", self._openapi),
        ]

    async def _ok(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _version(self, request: web.Request) -> web.Response:
        return json_response(discovery.VERSION)

    def discover(self, request: web.Request) -> web.Response:
        """`/api`, `/apis`, `/api/v1`, `/apis/<group>` and `/apis/<group>/<version>`."""
        parts = request.path.strip("/").split("/")
        if len(parts) == 1:
            return self._root(request, core=parts[0] == "api")
        document = self._document(parts)
        return not_found_page() if document is None else json_response(document)

    def _root(self, request: web.Request, core: bool) -> web.Response:
        if wants_aggregated_discovery(request.headers.get("Accept", "")):
            return json_response(discovery.aggregated(self._resources, core), content_type=DISCOVERY)
        return json_response(discovery.api_versions(request.host) if core else discovery.group_list(self._resources))

    def _document(self, parts: list[str]) -> Mapping[str, Any] | None:
        if parts[0] == "api":
            return discovery.resource_list(self._resources, "", parts[1])
        if len(parts) == 2:
            return discovery.group(self._resources, parts[1])
        return discovery.resource_list(self._resources, parts[1], parts[2])

    def _openapi_documents(self) -> Mapping[str, bytes]:
        """JSON text by path; made again when a CRD came, changed or went."""
        changes, documents = self._documents
        if changes != self._resources.changes:
            documents = {
                f"apis/{group}/{version}" if group else f"api/{version}": orjson.dumps(group_document(infos))
                for group, versions in self._resources.versions().items()
                for version, infos in versions.items()
            }
            self._documents = (self._resources.changes, documents)
        return documents

    async def _openapi_index(self, request: web.Request) -> web.Response:
        index = discovery.openapi_index(self._openapi_documents())
        return json_response(index, content_type="text/plain; charset=utf-8")

    async def _openapi(self, request: web.Request) -> web.Response:
        document = self._openapi_documents().get(request.match_info["path"])
        return not_found_page() if document is None else raw(document)
