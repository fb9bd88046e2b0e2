"""Who asked for what: one JSON line per request for a resource, like Kubernetes' audit log at level Metadata.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from dms_operator.devcluster.errors import ApiError
from dms_operator.devcluster.resources import Resources
from dms_operator.devcluster.server.paths import UnknownGroup, parse
from dms_operator.devcluster.server.query import flag

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class AuditLog:
    """Appends to a file; a line is there before the request is answered, so that no request of a crash is missing."""

    def __init__(self, resources: Resources, path: Path) -> None:
        self._resources = resources
        self._path = path

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note the request, then let it be answered."""
        entry = asked(self._resources, request)
        if entry is not None:
            with self._path.open("a") as log:
                log.write(f"{json.dumps(entry)}\n")
        return await handler(request)


def asked(resources: Resources, request: web.Request) -> dict[str, Any] | None:
    """The verb as RBAC knows it, and what it is about; None for discovery and the like."""
    parts = request.path.strip("/").split("/")
    if parts[0] not in ("api", "apis") or len(parts) <= (2 if parts[0] == "api" else 3):
        return None
    try:
        target = parse(resources, request.path)
    except (UnknownGroup, ApiError):
        return None
    verb = _VERBS.get(request.method, "get")
    if not target.name:
        reading = "watch" if flag(request.query, "watch") else "list"
        verb = {"get": reading, "delete": "deletecollection"}.get(verb, verb)
    return {
        "verb": verb,
        "userAgent": request.headers.get("User-Agent", ""),
        "objectRef": {
            "apiGroup": target.info.group,
            "resource": target.info.plural,
            "subresource": target.subresource,
            "namespace": target.namespace or "",
            "name": target.name,
        },
    }
