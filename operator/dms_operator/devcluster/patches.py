"""JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
import jsonpointer


class PatchError(ValueError):
    """A patch that cannot be applied to this object."""


def json_patch(obj: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The patched copy. Raises PatchError on a failed `test` or a path that is not there."""
    try:
        patched: dict[str, Any] = jsonpatch.apply_patch(dict(obj), list(operations))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise PatchError(str(error)) from error
    return patched


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7396; unchanged parts are shared with `obj`."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(obj) if isinstance(obj, Mapping) else {}
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), change)
    return merged


def strategic_merge_patch(obj: Mapping[str, Any], patch: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """`keys` maps the path of a merged list (`spec.containers`, no indices) to its merge key, "" for a list of scalars."""
    merged: dict[str, Any] = merge_patch(obj, patch)
    return merged
