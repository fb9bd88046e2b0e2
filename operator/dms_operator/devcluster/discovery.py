"""Discovery documents: what the API serves, in the legacy and the aggregated form. Pure functions of Resources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from dms_operator.devcluster.resources import ResourceInfo, Resources

_SUBRESOURCE_VERBS = {
    "binding": ("create",),
    "eviction": ("create",),
    "finalize": ("update",),
    "log": ("get",),
}
_STATUS_VERBS = ("get", "patch", "update")
_SUBRESOURCE_KINDS = {
    "binding": ("", "", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "scale": ("autoscaling", "v1", "Scale"),
}

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "dms-devcluster",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}


def _optional(**lists: Iterable[str]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in lists.items() if values}


def api_versions(address: str) -> dict[str, Any]:
    """`/api`."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def _group(name: str, versions: Iterable[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(resources: Resources) -> dict[str, Any]:
    """`/apis`."""
    groups = [_group(name, versions) for name, versions in resources.versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(resources: Resources, name: str) -> dict[str, Any] | None:
    """`/apis/<group>`, or None when it is not served."""
    versions = resources.versions().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions and name else None


def resource_list(resources: Resources, group_name: str, version: str) -> dict[str, Any] | None:
    """`/api/v1` and `/apis/<group>/<version>`, or None when it is not served."""
    infos = resources.versions().get(group_name, {}).get(version)
    if infos is None:
        return None
    head = {"kind": "APIResourceList"} if not group_name else {"kind": "APIResourceList", "apiVersion": "v1"}
    listed = [entry for info in infos for entry in (_entry(info), *_subentries(info))]
    return {**head, "groupVersion": infos[0].api_version, "resources": listed}


def _entry(info: ResourceInfo) -> dict[str, Any]:
    return {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": list(info.verbs),
        **_optional(shortNames=info.short_names, categories=info.categories),
    }


def _subentries(info: ResourceInfo) -> Iterable[dict[str, Any]]:
    for name in info.subresources:
        foreign = _SUBRESOURCE_KINDS.get(name)
        group_name, version, kind = foreign or (info.group, info.version, info.kind)
        named = {"name": f"{info.plural}/{name}", "singularName": "", "namespaced": info.namespaced}
        elsewhere = {"group": group_name, "version": version} if foreign and group_name else {}
        yield {**named, **elsewhere, "kind": kind, "verbs": list(_SUBRESOURCE_VERBS.get(name, _STATUS_VERBS))}


def aggregated(resources: Resources, core: bool) -> dict[str, Any]:
    """`/api` or `/apis` as one APIGroupDiscoveryList."""
    items = [
        {"metadata": {"name": name} if name else {}, "versions": [_version(*one) for one in versions.items()]}
        for name, versions in resources.versions().items()
        if (name == "") == core
    ]
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
    return {**head, "items": items}


def _version(version: str, infos: Iterable[ResourceInfo]) -> dict[str, Any]:
    return {"version": version, "resources": [_aggregated(info) for info in infos], "freshness": "Current"}


def _aggregated(info: ResourceInfo) -> dict[str, Any]:
    subresources = [_aggregated_sub(info, name) for name in info.subresources]
    return {
        "resource": info.plural,
        "responseKind": _response_kind(info, "") if info.custom else {"group": "", "version": "", "kind": info.kind},
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": list(info.verbs),
        **_optional(shortNames=info.short_names, categories=info.categories),
        **({"subresources": subresources} if subresources else {}),
    }


def _aggregated_sub(info: ResourceInfo, name: str) -> dict[str, Any]:
    verbs = list(_SUBRESOURCE_VERBS.get(name, _STATUS_VERBS))
    return {"subresource": name, "responseKind": _response_kind(info, name), "verbs": verbs}


def _response_kind(info: ResourceInfo, subresource: str) -> dict[str, str]:
    own = (info.group, info.version, info.kind) if info.custom else ("", "", info.kind)
    group_name, version, kind = _SUBRESOURCE_KINDS.get(subresource, own)
    return {"group": group_name, "version": version, "kind": kind}


def openapi_index(documents: Mapping[str, bytes]) -> dict[str, Any]:
    """`/openapi/v3`: path of each group version -> URL with the hash of its document."""
    return {"paths": {path: {"serverRelativeURL": _url(path, text)} for path, text in documents.items()}}


def _url(path: str, document: bytes) -> str:
    return f"/openapi/v3/{path}?hash={hashlib.sha512(document).hexdigest().upper()}"
