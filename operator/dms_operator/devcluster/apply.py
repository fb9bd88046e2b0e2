"""Server-side apply, and the bookkeeping of field managers on every other write.

The rules are those of structured-merge-diff: an applied configuration is merged into the live object; what the
manager applied before and does not any more is removed, unless somebody else owns it; changing what another
manager owns is a conflict, unless forced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.fields import (
    Path,
    Paths,
    all_fields,
    ancestors,
    applied_fields,
    children,
    differences,
    owned,
    root_schema,
)
from dms_operator.devcluster.managers import (
    Conflict,
    Manager,
    Managers,
    Object,
    Owned,
    find_taken,
    hand_over,
    read_managers,
    with_managers,
)
from dms_operator.devcluster.schema.validate import Schema

__all__ = ["Conflict", "record_update", "server_side_apply"]


def server_side_apply(
    live: Object | None,
    applied: Object,
    manager: str,
    force: bool,
    schema: Schema | None,
    subresource: str,
    now: str,
) -> dict[str, Any]:
    """The merged object with managedFields, not yet defaulted or validated; raises Conflict.

    `now` is RFC 3339; `subresource` is "" or "status", of which only the status is taken. The caller removes
    from `applied` what this endpoint must not write.
    """
    root = root_schema(schema)
    me = Manager("Apply", manager, applied["apiVersion"], subresource)
    applied = _endpoint(applied, subresource)
    managers = _known_managers(live, root, now)
    before = managers.pop(me, Owned(frozenset(), now))
    fields = owned(applied_fields(root, applied))
    merged = _merge(root, dict(live or {}), applied)
    merged = _remove(root, merged, _dropped(before.fields, fields, managers), ())
    changed, removed = differences(root, _bare(live), _bare(merged))
    found = find_taken(managers, me, changed)
    if found and not force:
        raise Conflict(found)
    managers = hand_over(managers, me, changed, removed, now)
    managers[me] = before if before.fields == fields else Owned(fields, now)
    return with_managers(merged, managers)


def record_update(
    old: Object | None,
    new: Object,
    manager: str,
    operation: str,
    subresource: str,
    schema: Schema | None,
    now: str,
) -> dict[str, Any]:
    """`new` with managedFields in which the fields that differ from `old` belong to `manager`.

    The entries that `new` itself carries count (clients send them back); `operation` is "Update". After a
    server-side apply, use this with the operation "Apply" only to account for defaults: it changes no owner.
    """
    root = root_schema(schema)
    changed, removed = differences(root, _bare(old), _bare(new))
    if not changed and not removed and new["metadata"].get("managedFields"):
        return dict(new)
    managers = read_managers(new) or read_managers(old)
    me = Manager(operation, manager, new["apiVersion"], subresource)
    managers = hand_over(managers, me, changed, removed, now)
    if operation == "Update":
        mine = managers.get(me, Owned(frozenset(), now))
        fields = mine.fields | owned(changed)
        managers[me] = mine if fields == mine.fields else Owned(fields, now)
    return with_managers(new, managers)


def _bare(obj: Object | None) -> dict[str, Any]:
    """Without managedFields, which are never compared."""
    if obj is None:
        return {}
    metadata = obj.get("metadata") or {}
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _endpoint(applied: Object, subresource: str) -> dict[str, Any]:
    identity = {name: applied[name] for name in ("apiVersion", "kind", "metadata") if name in applied}
    if subresource == "status":
        names = {name: value for name, value in applied["metadata"].items() if name in ("name", "namespace")}
        return {
            **identity,
            "metadata": names,
            **({"status": applied["status"]} if "status" in applied else {}),
        }
    return dict(applied)


def _known_managers(live: Object | None, root: Schema, now: str) -> Managers:
    """The managers of the live object; one that has none gets `before-first-apply`, as in Kubernetes."""
    managers = read_managers(live)
    if live is None or managers:
        return managers
    first = Manager("Update", "before-first-apply", live["apiVersion"])
    return {first: Owned(owned(all_fields(root, _bare(live))), now)}


def _merge(schema: Schema, live: Any, applied: Any) -> Any:
    """`applied` over `live`; lists of type set and map are united, in the order of `live`."""
    before, after = children(schema, live), children(schema, applied)
    if before is None or after is None:
        return applied
    merged = {name: item for name, (_, item) in before.items()}
    for name, (below, item) in after.items():
        merged[name] = _merge(below, merged[name], item) if name in merged else item
    return _container(applied, merged)


def _container(like: Any, members: Mapping[str, Any]) -> Any:
    if isinstance(like, list):
        return list(members.values())
    return {name[2:]: item for name, item in members.items()}


def _dropped(before: Paths, now: Paths, others: Managers) -> set[Path]:
    """What this manager gave up and nobody else owns, neither itself nor anything below."""
    kept = ancestors(now)
    for other in others.values():
        kept |= ancestors(other.fields)
    return {path for path in ancestors(before) if path not in kept}


def _remove(schema: Schema, value: Any, dropped: set[Path], path: Path) -> Any:
    if not dropped:
        return value
    members = children(schema, value)
    if not members:
        return value
    left = {
        name: _remove(below, item, dropped, (*path, name))
        for name, (below, item) in members.items()
        if (*path, name) not in dropped or _is_key(name, path)
    }
    return _container(value, left)


def _is_key(name: str, path: Path) -> bool:
    """Keys of a list item stay as long as the item does."""
    return bool(path) and path[-1].startswith("k:") and f'"{name[2:]}":' in path[-1]
