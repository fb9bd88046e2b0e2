"""Which old value belongs to which new one: properties by name, items of map lists by their keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

UNKNOWN: Final = object()
"""No old value: on create, and where none correlates (items of sets and atomic lists)."""


def old_property(old: Any, name: str) -> Any:
    """The old value of a property or map entry, or UNKNOWN."""
    return old.get(name, UNKNOWN) if isinstance(old, dict) else UNKNOWN


def old_items(schema: Mapping[str, Any], old: Any) -> dict[str, Any]:
    """The old items of a list of type map by identity; empty for every other list."""
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map":
        return {}
    return {identity(schema, item): item for item in old if isinstance(item, dict)}


def old_item(schema: Mapping[str, Any], items: Mapping[str, Any], item: Any) -> Any:
    """The old item that has the keys of `item`, or UNKNOWN."""
    return items.get(identity(schema, item), UNKNOWN) if items and isinstance(item, dict) else UNKNOWN


def identity(schema: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """The keys of an item of a map list as compact JSON, `{"key":"a"}`; defaults stand in for absent keys."""
    properties = schema.get("items", {}).get("properties", {})
    keys = {
        key: item[key] if key in item else properties.get(key, {}).get("default")
        for key in sorted(schema["x-kubernetes-list-map-keys"])
    }
    return json.dumps({key: value for key, value in keys.items() if value is not None}, separators=(",", ":"))
