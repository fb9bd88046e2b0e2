"""Patch bodies applied to an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster import errors
from dms_operator.devcluster.patches import PatchError, json_patch, merge_patch, strategic_merge_patch
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.schema.builtin import merge_keys

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def accepted_types(info: ResourceInfo) -> tuple[str, ...]:
    """The patch types of a resource; custom resources have no strategic merge."""
    if info.custom:
        return (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    return (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def patched(info: ResourceInfo, obj: Mapping[str, Any], patch: Any, content_type: str) -> dict[str, Any]:
    """The object with the patch applied; raises 400, 415 or 422."""
    if content_type not in accepted_types(info):
        raise errors.unsupported_media_type(accepted_types(info))
    result = _applied(info, obj, patch, content_type)
    if not isinstance(result, dict) or not isinstance(result.get("metadata") or {}, dict):
        raise errors.bad_request("the patch does not leave an object with metadata")
    return result


def _applied(info: ResourceInfo, obj: Mapping[str, Any], patch: Any, content_type: str) -> Any:
    if content_type == JSON_PATCH:
        return _json_patched(obj, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    if content_type == MERGE_PATCH:
        return merge_patch(obj, patch)
    try:
        return strategic_merge_patch(obj, patch, merge_keys(info.group, info.kind))
    except PatchError as error:
        raise errors.bad_request(str(error)) from error


def _json_patched(obj: Mapping[str, Any], patch: Any) -> Any:
    if not isinstance(patch, list):
        raise errors.bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    try:
        return json_patch(obj, patch)
    except PatchError as error:
        raise errors.rejected_patch() from error
