"""The scale subresource: replicas of a deployment, a replica set or a custom resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.resources import ResourceInfo

Object = Mapping[str, Any]

_WORKLOAD = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.strip(".").split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def scale_of(info: ResourceInfo, obj: Object) -> dict[str, Any]:
    """The autoscaling/v1 Scale of an object."""
    paths = info.scale or _WORKLOAD
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {name: obj["metadata"][name] for name in names if name in obj["metadata"]}
    status: dict[str, Any] = {"replicas": _at(obj, paths["statusReplicasPath"]) or 0}
    selector = _selector(info, obj)
    if selector:
        status["selector"] = selector
    spec = {"replicas": _at(obj, paths["specReplicasPath"]) or 0}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _selector(info: ResourceInfo, obj: Object) -> str:
    if info.scale:
        path = info.scale.get("labelSelectorPath")
        return str(_at(obj, path) or "") if path else ""
    labels = (_at(obj, ".spec.selector.matchLabels") or {}).items()
    return ",".join(f"{key}={value}" for key, value in sorted(labels))


def replicas_patch(info: ResourceInfo, scale: Object) -> dict[str, Any]:
    """The merge patch that a written Scale means."""
    path = (info.scale or _WORKLOAD)["specReplicasPath"]
    patch: Any = (scale.get("spec") or {}).get("replicas", 0)
    for name in reversed(path.strip(".").split(".")):
        patch = {name: patch}
    version = (scale.get("metadata") or {}).get("resourceVersion")
    return {**patch, "metadata": {"resourceVersion": version}} if version else dict(patch)
