"""How large values of a schema can get, as the API server's estimator sees them.

Rules: kubernetes apiserver/pkg/cel/common/schemas.go (SchemaDeclType), pkg/cel/types.go and limits.go. Where versions
differ, the oldest supported one counts: int-or-string had no use of maxLength before 1.34, names no bound before 1.37.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dms_operator.devcluster.schema.cel_values import escaped

Schema = Mapping[str, Any]

REQUEST_BYTES = 3 * 1024 * 1024
"""The largest request (limits.go, MaxRequestSizeBytes): what is not bounded is bounded by it."""
_LONGEST_STRING = REQUEST_BYTES - 2
_BYTES_OF_A_CHARACTER = 4
_FORMATS = {"date": (12, 12), "date-time": (32, 21), "duration": (32, 3)}
"""Most and least bytes with quotation marks (limits.go)."""
_LEAST = {"boolean": 4, "integer": 1, "number": 1}
_TEXT: Schema = {"type": "string"}
_IDENTITY: Schema = {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}}


@dataclass(frozen=True)
class Bounds:
    """`most`: items, entries or bytes, 0 for what has no length; `least`: bytes of the shortest JSON text."""

    most: int
    least: int
    fields: Mapping[str, Bounds] = field(default_factory=dict)
    items: Bounds | None = None
    keys: Bounds | None = None

    def at(self, path: tuple[str, ...]) -> Bounds | None:
        """What a path of fields, `@items`, `@values` and `@keys` leads to."""
        node: Bounds | None = self
        for step in path:
            if node is None:
                return None
            below = {"@items": node.items, "@values": node.items, "@keys": node.keys}
            node = below[step] if step in below else node.fields.get(step)
        return node

    @property
    def cardinality(self) -> int:
        """How many values a request can hold."""
        return REQUEST_BYTES // (self.least + 1)


_KEY = Bounds(0, 2)
"""Keys count as if they had no length (types.go, StringType)."""


def bounds_of(schema: Schema, resource: bool = False) -> Bounds | None:
    """The bounds of a schema's values, None for what rules cannot see; `resource`: it has object metadata."""
    if schema.get("x-kubernetes-int-or-string"):
        return Bounds(_LONGEST_STRING, 1)
    if resource or schema.get("x-kubernetes-embedded-resource"):
        known = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _IDENTITY}
        schema = {**schema, "properties": {**schema.get("properties", {}), **known}}
    kind = schema.get("type", "")
    if kind == "array":
        return _list(schema)
    if kind == "object":
        return _map(schema) if isinstance(schema.get("additionalProperties"), Mapping) else _object(schema)
    if kind == "string":
        return _string(schema)
    return Bounds(0, _LEAST[kind]) if kind in _LEAST else None


def _list(schema: Schema) -> Bounds | None:
    items = bounds_of(schema.get("items", {}))
    if items is None:
        return None
    return Bounds(schema.get("maxItems", _LONGEST_STRING // (items.least + 1)), 2, items=items)


def _map(schema: Schema) -> Bounds | None:
    values = bounds_of(schema["additionalProperties"])
    if values is None:
        return None
    most = schema.get("maxProperties", _LONGEST_STRING // (values.least + 6))
    return Bounds(most, 2, items=values, keys=_KEY)


def _object(schema: Schema) -> Bounds:
    fields, least = {}, 2
    for name, below in schema.get("properties", {}).items():
        bounds, label = bounds_of(below), escaped(name)
        if bounds is None:
            continue
        if label is not None:
            fields[label] = bounds
        if name in schema.get("required", ()) and below.get("default") is None:
            least += len(name) + bounds.least + 4
    return Bounds(0, least, fields)


def _string(schema: Schema) -> Bounds:
    form = schema.get("format", "")
    if form in _FORMATS:
        return Bounds(*_FORMATS[form])
    if "maxLength" in schema:
        return Bounds(schema["maxLength"] * (1 if form == "byte" else _BYTES_OF_A_CHARACTER), 2)
    if form != "byte" and schema.get("enum"):
        return Bounds(max(len(word.encode()) for word in schema["enum"]), 2)
    return Bounds(_LONGEST_STRING, 2)
