"""Eviction that is asked for through the API, as `kubectl drain` does."""

from __future__ import annotations

from aiohttp import web

from dms_operator.devcluster import errors
from dms_operator.devcluster.registry import DeleteOptions, Registry
from dms_operator.devcluster.registry.patching import STRATEGIC_PATCH
from dms_operator.devcluster.server.paths import Target
from dms_operator.devcluster.server.requests import read_object
from dms_operator.devcluster.server.responses import json_response


async def evict(registry: Registry, request: web.Request, target: Target) -> web.Response:
    """Mark the pod as a target of disruption and delete it. Disruption budgets are not looked at."""
    body = await read_object(request, "Eviction")
    wanted = body.get("deleteOptions") or {}
    if not isinstance(wanted, dict):
        raise errors.bad_request("deleteOptions has to be an object")
    info, namespace = target.info, target.namespace or ""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": registry.now(),
    }
    patch = {"status": {"conditions": [condition]}}
    registry.patch(info, namespace, target.name, patch, STRATEGIC_PATCH, subresource="status")
    registry.delete(info, namespace, target.name, DeleteOptions.from_body(wanted))
    return json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)
