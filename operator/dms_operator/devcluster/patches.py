"""JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
import jsonpointer

_ORDER = "$setElementOrder/"
_DELETE_VALUES = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"
_DIRECTIVE = "$patch"


class PatchError(ValueError):
    """A patch that cannot be applied to this object."""


def json_patch(obj: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The patched copy. Raises PatchError on a failed `test`, a path that is not there or a malformed operation."""
    try:
        patched: dict[str, Any] = jsonpatch.apply_patch(obj, list(operations))
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as error:
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


def strategic_merge_patch(
    obj: Mapping[str, Any], patch: Mapping[str, Any], merge_keys: Mapping[str, str]
) -> dict[str, Any]:
    """A merge patch that merges known lists instead of replacing them; raises PatchError.

    `merge_keys`: path of a merged list without indices (`spec.containers`) -> its merge key, "" for scalars.
    """
    merged: dict[str, Any] = _Strategic(merge_keys).map(obj, patch, "")
    return merged


class _Strategic:
    """One strategic merge; paths are those of `merge_keys`."""

    def __init__(self, merge_keys: Mapping[str, str]) -> None:
        self.merge_keys = merge_keys

    def map(self, obj: Any, patch: Mapping[str, Any], path: str) -> Any:
        directive = patch.get(_DIRECTIVE)
        if directive == "delete":
            return {}
        if directive == "replace":
            return {name: value for name, value in patch.items() if name != _DIRECTIVE}
        merged = dict(obj) if isinstance(obj, Mapping) else {}
        if _RETAIN in patch:
            merged = {name: value for name, value in merged.items() if name in patch[_RETAIN]}
        for name, change in patch.items():
            self._member(merged, patch, name, change, f"{path}.{name}" if path else name)
        self._without_directives(merged, patch, path)
        return merged

    def _member(self, merged: dict[str, Any], patch: Mapping[str, Any], name: str, change: Any, path: str) -> None:
        if name.startswith("$"):
            return
        if change is None:
            merged.pop(name, None)
        elif isinstance(change, Mapping):
            merged[name] = self.map(merged.get(name), change, path)
        elif isinstance(change, list) and path in self.merge_keys:
            merged[name] = self._list(merged.get(name) or [], change, patch.get(_ORDER + name), path)
        else:
            merged[name] = change

    def _without_directives(self, merged: dict[str, Any], patch: Mapping[str, Any], path: str) -> None:
        """Directives for lists that the patch itself does not mention."""
        for name, argument in patch.items():
            if name.startswith(_DELETE_VALUES):
                target = name.removeprefix(_DELETE_VALUES)
                merged[target] = [value for value in merged.get(target, []) if value not in argument]
            elif name.startswith(_ORDER) and (target := name.removeprefix(_ORDER)) in merged and target not in patch:
                key = self.merge_keys.get(f"{path}.{target}" if path else target, "")
                merged[target] = _ordered(merged[target], argument, key)

    def _list(self, old: list[Any], change: list[Any], order: list[Any] | None, path: str) -> list[Any]:
        key = self.merge_keys[path]
        if any(isinstance(item, Mapping) and item.get(_DIRECTIVE) == "replace" for item in change):
            return [item for item in change if not (isinstance(item, Mapping) and _DIRECTIVE in item)]
        merged = self._keyed(old, change, key, path) if key else [*old, *(v for v in change if v not in old)]
        return _ordered(merged, order, key) if order is not None else merged

    def _keyed(self, old: list[Any], change: list[Any], key: str, path: str) -> list[Any]:
        merged = list(old)
        for item in change:
            if not isinstance(item, Mapping) or key not in item:
                raise PatchError(f"map: {item} does not contain declared merge key: {key}")
            found = next((index for index, each in enumerate(merged) if each.get(key) == item[key]), None)
            if item.get(_DIRECTIVE) == "delete":
                merged = [each for each in merged if each.get(key) != item[key]]
            elif found is None:
                merged.append(self.map({}, item, path))
            else:
                merged[found] = self.map(merged[found], item, path)
        return merged


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items in the order given; those that the order does not name keep their place behind their predecessor."""
    wanted = [item[key] if key and isinstance(item, Mapping) else item for item in order]
    identities = [item.get(key) if key else item for item in items]
    named = sorted((wanted.index(each), item) for each, item in zip(identities, items, strict=True) if each in wanted)
    queue = [item for _, item in named]
    return [queue.pop(0) if identity in wanted else item for identity, item in zip(identities, items, strict=True)]
