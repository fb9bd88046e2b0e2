"""Compact schemas of the built-in kinds, to the depth that the product touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from dms_operator.devcluster.schema.builtin.kinds import KINDS
from dms_operator.devcluster.schema.builtin.meta import DELETE_OPTIONS, LIST_META, OBJECT_META, PATCH, STATUS
from dms_operator.devcluster.schema.builtin.words import STRING, described, struct

__all__ = ["COMMON", "ROOT", "builtin_schema", "merge_keys", "object_meta"]

COMMON = (DELETE_OPTIONS, LIST_META, OBJECT_META, PATCH, STATUS)
"""Types that every API uses."""
ROOT: dict[str, dict[str, Any]] = {
    "apiVersion": described(STRING, "The versioned schema of this representation of an object."),
    "kind": described(STRING, "The REST resource that this object represents."),
    "metadata": described(OBJECT_META, "Standard object's metadata."),
}
"""The fields that every object has."""

_TEXTS = {"spec": "The desired state.", "status": "The observed state; set by the system."}


def object_meta() -> Mapping[str, Any]:
    """The schema of `metadata`."""
    return OBJECT_META


@cache
def builtin_schema(group: str, kind: str) -> Mapping[str, Any] | None:
    """The structural schema of a built-in kind (group "" is core), or None where nothing is written down."""
    if (group, kind) not in KINDS:
        return None
    fields, required = KINDS[group, kind]
    texts = {name: text for name, text in _TEXTS.items() if name in fields}
    return struct({**ROOT, **fields, **{name: described(fields[name], text) for name, text in texts.items()}}, required)


@cache
def merge_keys(group: str, kind: str) -> Mapping[str, str]:
    """For strategic merge patches: path of each merged list (`spec.containers`) -> merge key, "" for scalars."""
    schema = builtin_schema(group, kind) or struct({"metadata": OBJECT_META})
    return dict(_merged_lists(schema, ""))


def _merged_lists(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if schema.get("x-kubernetes-patch-strategy"):
        yield path, schema.get("x-kubernetes-patch-merge-key", "")
    if "items" in schema:
        yield from _merged_lists(schema["items"], path)
    for name, below in schema.get("properties", {}).items():
        yield from _merged_lists(below, f"{path}.{name}" if path else name)
