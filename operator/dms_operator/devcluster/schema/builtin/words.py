"""The vocabulary in which the built-in schemas are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Node = dict[str, Any]

STRING: Node = {"type": "string"}
BOOL: Node = {"type": "boolean"}
INT32: Node = {"type": "integer", "format": "int32"}
INT64: Node = {"type": "integer", "format": "int64"}
TIME: Node = {"type": "string", "format": "date-time", "$name": "io.k8s.apimachinery.pkg.apis.meta.v1.Time"}
MICRO_TIME: Node = {**TIME, "$name": "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"}
BYTES: Node = {"type": "string", "format": "byte"}
INT_OR_STRING: Node = {"x-kubernetes-int-or-string": True}
ANY: Node = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""Written down no deeper than this."""
STRINGS: Node = {"type": "object", "additionalProperties": STRING}
QUANTITY: Node = {
    "x-kubernetes-int-or-string": True,
    "$name": "io.k8s.apimachinery.pkg.api.resource.Quantity",
}
QUANTITIES: Node = {"type": "object", "additionalProperties": QUANTITY}


def enum(*values: str) -> Node:
    """A string out of `values`."""
    return {"type": "string", "enum": list(values)}


PROTOCOL: Node = {**STRING, "default": "TCP"}
"""Part of the key of a port: ports that do not name it are TCP ports."""


def struct(properties: Mapping[str, Node], required: Iterable[str] = (), atomic: bool = False) -> Node:
    """An object with these properties; `atomic` has one owner in server-side apply."""
    node: Node = {"type": "object", "properties": dict(properties)}
    if required:
        node["required"] = list(required)
    if atomic:
        node["x-kubernetes-map-type"] = "atomic"
    return node


def array(items: Node) -> Node:
    """A list that is replaced as a whole."""
    return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic"}


def values(items: Node, merged: bool = False) -> Node:
    """A set of scalars; `merged` when strategic merge patches add to it instead of replacing it."""
    node: Node = {"type": "array", "items": items, "x-kubernetes-list-type": "set"}
    return {**node, "x-kubernetes-patch-strategy": "merge"} if merged else node


def keyed(items: Node, *keys: str, merge_key: str | None = None) -> Node:
    """A list merged by `keys`; strategic merge patches know only one of them (default the first)."""
    return {
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
        "x-kubernetes-patch-merge-key": merge_key or keys[0],
        "x-kubernetes-patch-strategy": "merge",
    }


def named(name: str, node: Node) -> Node:
    """A node that OpenAPI documents show as a component of this name (`io.k8s.api.core.v1.PodSpec`)."""
    return {**node, "$name": name}


def core(kind: str, node: Node) -> Node:
    """A named node of core/v1."""
    return named(f"io.k8s.api.core.v1.{kind}", node)


def described(node: Node, text: str) -> Node:
    """The node with a description, for `kubectl explain`."""
    return {**node, "description": text}


def conditions(*more: str) -> Node:
    """The usual list of conditions; `more` are further time fields."""
    times = dict.fromkeys(("lastTransitionTime", *more), TIME)
    texts = dict.fromkeys(("type", "status", "reason", "message"), STRING)
    return keyed(struct({**texts, **times, "observedGeneration": INT64}, ["type", "status"]), "type")
