"""Defaults of a structural schema."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.schema.validate import Schema


def apply_defaults(schema: Schema, value: Any) -> Any:
    """`value` with absent properties filled and nulls dropped where not nullable; unchanged parts are shared."""
    if isinstance(value, dict):
        return _object(schema, value)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return _array(schema["items"], value)
    return value


def _object(schema: Schema, value: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    changed = {name: _default(below) for name, below in properties.items() if _wants_default(below, value, name)}
    dropped = []
    rest = schema.get("additionalProperties")
    for name, item in value.items():
        below = properties.get(name, rest)
        if not isinstance(below, dict):
            continue
        if item is None:
            if not below.get("nullable") and name not in changed:
                dropped.append(name)
        elif (filled := apply_defaults(below, item)) is not item:
            changed[name] = filled
    if not changed and not dropped:
        return value
    return {name: item for name, item in {**value, **changed}.items() if name not in dropped}


def _wants_default(below: Schema, value: dict[str, Any], name: str) -> bool:
    if "default" not in below:
        return False
    return name not in value or (value[name] is None and not below.get("nullable"))


def _default(below: Schema) -> Any:
    return apply_defaults(below, below["default"])


def _array(items: Schema, value: list[Any]) -> list[Any]:
    filled = [apply_defaults(items, item) for item in value]
    return filled if any(new is not old for new, old in zip(filled, value, strict=True)) else value
