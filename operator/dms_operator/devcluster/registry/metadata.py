"""Metadata of an object on its way into the store."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dms_operator.devcluster.names import generate
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.schema.errors import FieldError, show

_OMITTED_WHEN_EMPTY = (
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "generateName",
)
_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
_INHERITED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_IMMUTABLE = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
SPECLESS = frozenset({"metadata", "status", "apiVersion", "kind"})


def timestamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as `metav1.Time` prints it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tidy(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without nulls and without what Go omits when empty."""
    kept = {name: value for name, value in metadata.items() if value is not None}
    for name in _OMITTED_WHEN_EMPTY:
        if not kept.get(name, True):
            del kept[name]
    return kept


def for_create(info: ResourceInfo, obj: dict[str, Any], namespace: str, now: datetime) -> None:
    """Give a new object its identity, in place."""
    metadata = tidy(obj.get("metadata") or {})
    for name in (*_SERVER_OWNED, "managedFields", "generation"):
        metadata.pop(name, None)
    if info.namespaced:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generate(metadata["generateName"])
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp(now)
    if info.generation:
        metadata["generation"] = 1
    obj["metadata"] = metadata


def for_update(obj: dict[str, Any], old: Mapping[str, Any]) -> None:
    """Carry over what an update need not repeat, in place. Generation is always the server's."""
    metadata, before = tidy(obj.get("metadata") or {}), old["metadata"]
    for name in (*_INHERITED, "name", "namespace"):
        if name in before and (name not in metadata or name == "generation"):
            metadata[name] = before[name]
    if "generation" not in before:
        metadata.pop("generation", None)
    metadata["resourceVersion"] = before["resourceVersion"]
    if "managedFields" in before:
        metadata["managedFields"] = before["managedFields"]
    else:
        metadata.pop("managedFields", None)
    obj["metadata"] = metadata


def update_errors(metadata: Mapping[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """What `ValidateObjectMetaUpdate` finds."""
    errors = []
    if before.get("deletionTimestamp"):
        added = [one for one in metadata.get("finalizers") or () if one not in (before.get("finalizers") or ())]
        if added:
            listed = ", ".join(f'"{one}"' for one in added)
            message = (
                "Forbidden: no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            errors.append(FieldError("metadata.finalizers", "FieldValueForbidden", message))
    for name in _IMMUTABLE:
        if metadata.get(name) != before.get(name):
            message = f"Invalid value: {show(metadata.get(name))}: field is immutable"
            errors.append(FieldError(f"metadata.{name}", "FieldValueInvalid", message))
    return errors


def content_changed(info: ResourceInfo, new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether the change counts for `metadata.generation`: anything but metadata and a status of its own."""
    ignored = SPECLESS if info.has_status else SPECLESS - {"status"}
    names = (set(new) | set(old)) - ignored
    return any(new.get(name) != old.get(name) for name in names)


def same(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether two objects are equal but for who manages their fields."""
    if {name: value for name, value in new.items() if name != "metadata"} != {
        name: value for name, value in old.items() if name != "metadata"
    }:
        return False
    ignored = ("managedFields",)
    left = {name: value for name, value in new["metadata"].items() if name not in ignored}
    right = {name: value for name, value in old["metadata"].items() if name not in ignored}
    return left == right


def same_managers(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether the same managers own the same fields, whenever that was."""

    def untimed(obj: Mapping[str, Any]) -> list[dict[str, Any]]:
        entries = obj["metadata"].get("managedFields") or ()
        return [{name: value for name, value in entry.items() if name != "time"} for entry in entries]

    return untimed(new) == untimed(old)
