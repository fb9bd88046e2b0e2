"""Sets of fields as server-side apply records them (FieldsV1): a set of paths.

A path is a tuple of FieldsV1 names: `f:spec` a property, `k:{"name":"a"}` an item of a map list, `v:"x"` a value
of a set. Lists that are atomic, and scalars, are leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dms_operator.devcluster.schema.builtin import object_meta
from dms_operator.devcluster.schema.correlate import identity
from dms_operator.devcluster.schema.validate import Schema

Path = tuple[str, ...]
Paths = frozenset[Path]

_DEDUCED: Schema = {}
_UNOWNED = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "creationTimestamp",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "resourceVersion",
                "selfLink",
                "uid",
            )
        ),
    }
)
"""Fields of the server itself, which no manager owns (apimachinery `stripSet`)."""


def root_schema(schema: Schema | None) -> Schema:
    """The schema with `metadata` made precise; None means that all types are deduced from the values."""
    known = schema or _DEDUCED
    return {**known, "properties": {**known.get("properties", {}), "metadata": object_meta()}}


def owned(paths: Iterable[Path]) -> Paths:
    """Without the fields that nobody owns."""
    return frozenset(path for path in paths if path not in _UNOWNED and path[:2] != ("f:metadata", "f:managedFields"))


def children(schema: Schema, value: Any) -> dict[str, tuple[Schema, Any]] | None:
    """The members of a granular map or list by FieldsV1 name, with their schemas; None for leaves."""
    if isinstance(value, dict):
        return None if schema.get("x-kubernetes-map-type") == "atomic" else _properties(schema, value)
    kind = schema.get("x-kubernetes-list-type") if isinstance(value, list) else None
    items = schema.get("items", _DEDUCED)
    if kind == "map":
        return {f"k:{identity(schema, item)}": (items, item) for item in value}
    if kind == "set":
        return {f"v:{json.dumps(item, separators=(',', ':'))}": (items, item) for item in value}
    return None


def _properties(schema: Schema, value: dict[str, Any]) -> dict[str, tuple[Schema, Any]]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    default = rest if isinstance(rest, dict) else _DEDUCED
    return {f"f:{name}": (known.get(name, default), item) for name, item in value.items()}


def applied_fields(schema: Schema, value: Any, path: Path = ()) -> Iterator[Path]:
    """The fields of an applied configuration: leaves, empty containers and the items of lists."""
    below = children(schema, value)
    if not below:
        yield path
        return
    if path and path[-1][0] in "kv":
        yield path
    for name, (schema_below, item) in below.items():
        yield from applied_fields(schema_below, item, (*path, name))


def all_fields(schema: Schema, value: Any, path: Path = ()) -> Iterator[Path]:
    """Every field, containers too: what an update that creates `value` owns."""
    if path:
        yield path
    for name, (schema_below, item) in (children(schema, value) or {}).items():
        yield from all_fields(schema_below, item, (*path, name))


def differences(schema: Schema, old: Any, new: Any, path: Path = ()) -> tuple[set[Path], set[Path]]:
    """Fields (set by `new`: added or modified; removed by it)."""
    if old == new and type(old) is type(new):
        return set(), set()
    before, after = children(schema, old), children(schema, new)
    if before is None or after is None:
        gone = set(all_fields(schema, old, path)) - {path} if before else set()
        return {path, *(all_fields(schema, new, path) if after else ())}, gone
    changed: set[Path] = set()
    removed: set[Path] = set()
    for name in before.keys() - after.keys():
        removed.update(all_fields(*before[name], (*path, name)))
    for name, (schema_below, item) in after.items():
        if name not in before:
            changed.update(all_fields(schema_below, item, (*path, name)))
        else:
            more, less = differences(schema_below, before[name][1], item, (*path, name))
            changed |= more
            removed |= less
    return changed, removed


def ancestors(paths: Iterable[Path]) -> set[Path]:
    """The paths and everything that leads to them."""
    return {path[:end] for path in paths for end in range(1, len(path) + 1)}


def encode(paths: Iterable[Path]) -> dict[str, Any]:
    """FieldsV1: nested names in order, `.` marks a container that is itself a member."""
    tree: dict[str, Any] = {}
    members = set(paths)
    for path in sorted(members):
        node = tree
        for depth, name in enumerate(path, start=1):
            node = node.setdefault(name, {})
            if path[:depth] in members and depth < len(path):
                node.setdefault(".", {})
    return tree


def decode(tree: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths of a FieldsV1."""
    if path and (not tree or "." in tree):
        yield path
    for name, below in tree.items():
        if name != ".":
            yield from decode(below, (*path, name))


def shown(path: Path) -> str:
    """A path as conflicts name it: `.spec.items[key="a"].val`."""
    return "".join(_shown(name) for name in path)


def _shown(name: str) -> str:
    kind, text = name[0], name[2:]
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(text).items()) + "]"
