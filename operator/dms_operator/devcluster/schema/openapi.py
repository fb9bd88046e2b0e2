"""OpenAPI v3 documents, one a group and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster.schema.builtin import COMMON, ROOT
from dms_operator.devcluster.schema.openapi_paths import (
    META,
    Node,
    reference,
    resource_paths,
)
from dms_operator.devcluster.schema.validate import Schema

if TYPE_CHECKING:
    from dms_operator.devcluster.resources import ResourceInfo

_GROUPS = {"": "core", "rbac.authorization.k8s.io": "rbac"}
_CUSTOM = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
_BUILT_IN = {"title": "Kubernetes", "version": "v1.36.0"}
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def group_document(resources: Sequence[ResourceInfo]) -> dict[str, Any]:
    """The document of one group and version (all `resources` share them); `schema` None = unknown fields kept."""
    components: dict[str, Node] = {}
    paths: dict[str, Node] = {}
    for node in COMMON:
        _component(node, components)
    for resource in resources:
        name = component_name(resource)
        components[name] = _model(resource, components)
        components[f"{name}List"] = _list_model(resource, name)
        paths.update(resource_paths(resource, name))
    custom = any(resource.custom for resource in resources)
    info = _CUSTOM if custom else _BUILT_IN
    return {
        "openapi": "3.0.0",
        "info": info,
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(components.items()))},
    }


def component_name(resource: ResourceInfo) -> str:
    """`example.demo.v1.Widget` for a custom resource, `io.k8s.api.batch.v1.Job` for a built-in one."""
    if resource.custom:
        return f"{'.'.join(reversed(resource.group.split('.')))}.{resource.version}.{resource.kind}"
    if resource.group == "apiextensions.k8s.io":
        return f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{resource.version}.{resource.kind}"
    group = _GROUPS.get(resource.group, resource.group.removesuffix(".k8s.io"))
    return f"io.k8s.api.{group}.{resource.version}.{resource.kind}"


def _model(resource: ResourceInfo, components: dict[str, Node]) -> Node:
    schema: Schema = resource.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    known = {
        **ROOT,
        **{name: node for name, node in schema.get("properties", {}).items() if name not in ROOT},
    }
    node = _resolved({**schema, "properties": known}, components)
    return {**node, "x-kubernetes-group-version-kind": [_group_version_kind(resource, resource.kind)]}


def _list_model(resource: ResourceInfo, name: str) -> Node:
    properties = {
        "apiVersion": ROOT["apiVersion"],
        "items": {"description": "", "type": "array", "items": reference(name)},
        "kind": ROOT["kind"],
        "metadata": {"description": "", "allOf": [reference(f"{META}.ListMeta")]},
    }
    kind = [_group_version_kind(resource, resource.list_kind)]
    node = {"description": "", "type": "object", "required": ["items"], "properties": properties}
    return {**node, "x-kubernetes-group-version-kind": kind}


def _group_version_kind(resource: ResourceInfo, kind: str) -> Node:
    return {"group": resource.group, "kind": kind, "version": resource.version}


def _component(node: Schema, components: dict[str, Node]) -> str:
    """The name of a named node, which becomes a component of its own."""
    name: str = node["$name"]
    if name not in components:
        components[name] = {}
        components[name] = _resolved({word: value for word, value in node.items() if word != "$name"}, components)
    return name


def _resolved(schema: Schema, components: dict[str, Node]) -> Node:
    """The schema with named parts replaced by references, and int-or-string spelt out."""
    if "$name" in schema:
        target = reference(_component({**schema, "description": ""}, components))
        return {"description": schema["description"], "allOf": [target]} if "description" in schema else target
    node = dict(schema)
    if "properties" in schema:
        node["properties"] = {name: _resolved(each, components) for name, each in schema["properties"].items()}
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), Mapping):
            node[word] = _resolved(schema[word], components)
    if schema.get("x-kubernetes-int-or-string") and "anyOf" not in schema and "allOf" not in schema:
        node["anyOf"] = _INT_OR_STRING
    return node
