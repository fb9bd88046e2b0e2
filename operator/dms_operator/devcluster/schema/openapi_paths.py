"""The paths of an OpenAPI v3 document: what can be asked of each resource, with which parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dms_operator.devcluster.resources import ResourceInfo

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_JSON = ("application/json", "application/yaml")
_PATCHES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_STRATEGIC = "application/strategic-merge-patch+json"
_LIST = {
    "allowWatchBookmarks": "boolean",
    "continue": "string",
    "fieldSelector": "string",
    "labelSelector": "string",
    "limit": "integer",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean",
    "shardSelector": "string",
    "timeoutSeconds": "integer",
    "watch": "boolean",
}
_WRITE = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
_DELETE = {
    "dryRun": "string",
    "gracePeriodSeconds": "integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential": "boolean",
    "orphanDependents": "boolean",
    "propagationPolicy": "string",
}

Node = dict[str, Any]


def resource_paths(resource: ResourceInfo, model: str) -> dict[str, Node]:
    """Collection, item and status of one resource; `model` is the name of its component."""
    return _Paths(resource, model).all()


def reference(name: str) -> Node:
    """A pointer to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def _parameters(kinds: Mapping[str, str], place: str = "query") -> list[Node]:
    return [_parameter(name, kind, place) for name, kind in kinds.items()]


def _parameter(name: str, kind: str, place: str) -> Node:
    required = {"required": True} if place == "path" else {}
    return {
        "name": name,
        "in": place,
        "description": "",
        **required,
        "schema": {"type": kind, "uniqueItems": True},
    }


def _content(name: str, types: Iterable[str] = _JSON) -> Node:
    return {"content": {each: {"schema": reference(name)} for each in types}}


def _responses(name: str, codes: Iterable[str]) -> Node:
    return {**{code: {"description": "", **_content(name)} for code in codes}, "401": {"description": ""}}


class _Paths:
    """The operations of one resource."""

    def __init__(self, resource: ResourceInfo, model: str) -> None:
        self.resource, self.model = resource, model
        words = (resource.group.removesuffix(".k8s.io") or "core").split(".")
        title = "".join(word[:1].upper() + word[1:] for word in words)
        self.tag = f"{title[:1].lower()}{title[1:]}_{resource.version}"
        self.api = title + resource.version.capitalize()
        self.scope = "Namespaced" if resource.namespaced else ""

    def all(self) -> dict[str, Node]:
        resource = self.resource
        base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        collection = (
            f"{base}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{base}/{resource.plural}"
        )
        item = f"{collection}/{{name}}"
        paths = {collection: self._collection(), item: self._item()}
        if "status" in resource.subresources:
            paths[f"{item}/status"] = self._status()
        if resource.namespaced:
            paths[f"{base}/{resource.plural}"] = self._everywhere()
        return paths

    def _operation(self, verb: str, action: str, parameters: Mapping[str, str], **more: Any) -> Node:
        kind = {"group": self.resource.group, "version": self.resource.version, "kind": self.resource.kind}
        operation: Node = {"tags": [self.tag], "description": "", "operationId": verb}
        if parameters:
            operation["parameters"] = _parameters(parameters)
        return {**operation, **more, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind}

    def _name(self, verb: str, suffix: str = "") -> str:
        return f"{verb}{self.api}{self.scope}{self.resource.kind}{suffix}"

    def _around(self, operations: Node, *names: str) -> Node:
        scope = ("namespace",) if self.resource.namespaced else ()
        inside = _parameters(dict.fromkeys((*names, *scope), "string"), "path")
        return {**operations, "parameters": [*inside, *_parameters({"pretty": "string"})]}

    def _collection(self) -> Node:
        body = {**_content(self.model), "required": True}
        created = _responses(self.model, ("200", "201", "202"))
        operations = {
            "get": self._operation(
                self._name("list"), "list", _LIST, responses=_responses(f"{self.model}List", ["200"])
            ),
            "post": self._operation(self._name("create"), "post", _WRITE, requestBody=body, responses=created),
        }
        if "deletecollection" in self.resource.verbs:
            name = f"delete{self.api}Collection{self.scope}{self.resource.kind}"
            gone = _responses(f"{META}.Status", ["200"])
            operations["delete"] = self._operation(name, "deletecollection", _LIST, responses=gone)
        return self._around(operations)

    def _item(self) -> Node:
        gone = {
            "requestBody": _content(f"{META}.DeleteOptions"),
            "responses": _responses(f"{META}.Status", ("200", "202")),
        }
        operations = self._readable("")
        operations["delete"] = self._operation(self._name("delete"), "delete", _DELETE, **gone)
        return self._around(operations, "name")

    def _status(self) -> Node:
        return self._around(self._readable("Status"), "name")

    def _readable(self, suffix: str) -> Node:
        """Read, replace and patch, of an item or its status."""
        body = {**_content(self.model), "required": True}
        types = _PATCHES if self.resource.custom else (*_PATCHES, _STRATEGIC)
        patch = {**_content(f"{META}.Patch", types), "required": True}
        one, two = _responses(self.model, ["200"]), _responses(self.model, ("200", "201"))
        reading = {"resourceVersion": "string"}
        patching = {**_WRITE, "force": "boolean"}
        return {
            "get": self._operation(self._name("read", suffix), "get", reading, responses=one),
            "put": self._operation(self._name("replace", suffix), "put", _WRITE, requestBody=body, responses=two),
            "patch": self._operation(self._name("patch", suffix), "patch", patching, requestBody=patch, responses=one),
        }

    def _everywhere(self) -> Node:
        name = f"list{self.api}{self.resource.kind}ForAllNamespaces"
        responses = _responses(f"{self.model}List", ["200"])
        parameters = dict(sorted({**_LIST, "pretty": "string"}.items()))
        return {
            "get": self._operation(name, "list", {}, responses=responses),
            "parameters": _parameters(parameters),
        }
