"""Removal of fields that a structural schema does not know."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.schema.builtin import object_meta
from dms_operator.devcluster.schema.validate import Schema


def prune(schema: Schema, value: Any, resource: bool = True) -> tuple[Any, list[str]]:
    """`value` without unknown fields, and their paths (`spec.items[0].nope`), sorted; unchanged parts are shared.

    `resource`: value is a whole object, so that apiVersion, kind and metadata are known.
    """
    unknown: list[str] = []
    pruned = _node(_as_resource(schema) if resource else schema, value, "", unknown)
    return pruned, sorted(unknown)


def _as_resource(schema: Schema) -> Schema:
    known = {"apiVersion": {}, "kind": {}, "metadata": object_meta()}
    return {**schema, "properties": {**schema.get("properties", {}), **known}}


def _node(schema: Schema, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource"):
            schema = _as_resource(schema)
        return _object(schema, value, path, unknown)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        pruned = [_node(schema["items"], item, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
        return pruned if any(new is not old for new, old in zip(pruned, value, strict=True)) else value
    return value


def _object(schema: Schema, value: dict[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    keep = rest or schema.get("x-kubernetes-preserve-unknown-fields") or ("type" not in schema and not properties)
    changed: dict[str, Any] = {}
    dropped = set()
    for name, item in value.items():
        below = properties.get(name, rest)
        if below is None and not keep:
            unknown.append(f"{path}.{name}" if path else name)
            dropped.add(name)
        elif isinstance(below, dict) and isinstance(item, dict | list):
            pruned = _node(below, item, f"{path}.{name}" if path else name, unknown)
            if pruned is not item:
                changed[name] = pruned
    if not changed and not dropped:
        return value
    return {name: changed.get(name, item) for name, item in value.items() if name not in dropped}
