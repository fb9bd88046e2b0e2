"""Questions that are asked by creating an object which is not stored: may I, and who am I.

Everybody who has the token may do everything: RBAC objects are stored and not enforced.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dms_operator.devcluster import errors
from dms_operator.devcluster.server.paths import Target
from dms_operator.devcluster.server.requests import read_object
from dms_operator.devcluster.server.responses import json_response

_REASON = "the dev cluster does not enforce RBAC"
_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERYWHERE = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_ANSWERS: dict[str, dict[str, Any]] = {
    "SelfSubjectAccessReview": {"allowed": True, "reason": _REASON},
    "SubjectAccessReview": {"allowed": True, "reason": _REASON},
    "SelfSubjectRulesReview": {
        "resourceRules": [_EVERYTHING],
        "nonResourceRules": [_EVERYWHERE],
        "incomplete": False,
    },
    "SelfSubjectReview": {"userInfo": {"username": "dms-devcluster", "groups": ["system:masters"]}},
}


def is_review(target: Target) -> bool:
    """Whether the request is such a question."""
    return target.info.verbs == ("create",) and target.info.kind in _ANSWERS


async def answer(request: web.Request, target: Target) -> web.Response:
    """The question with its answer as status."""
    if request.method != "POST" or target.name:
        raise errors.method_not_allowed()
    body = await read_object(request, target.info.kind)
    head = {"kind": target.info.kind, "apiVersion": target.info.api_version}
    asked = {name: body[name] for name in ("metadata", "spec") if name in body}
    return json_response({**head, "metadata": {}, **asked, "status": _ANSWERS[target.info.kind]}, 201)
