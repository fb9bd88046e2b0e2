"""Priority admission: a pod's priority class becomes its number, by which the scheduler orders waiting pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster import errors

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

Object = Mapping[str, Any]

RESOURCE = "priorityclasses.scheduling.k8s.io"
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
"""Classes that every cluster has (pkg/apis/scheduling/types.go)."""
_PREEMPTS = "PreemptLowerPriority"


def admit_priority(pod: dict[str, Any], registry: Registry) -> None:
    """Set priority, its class and whether it preempts. Raises 403 for a class that does not exist."""
    spec = pod["spec"]
    name = spec.get("priorityClassName") or ""
    chosen = _named(registry, name) if name else _default(registry)
    if name and chosen is None:
        info = registry.resources.named("pods")
        message = f"no PriorityClass with name {name} was found"
        raise errors.forbidden(info, pod["metadata"].get("name", ""), message)
    if chosen is not None:
        spec["priorityClassName"] = chosen["metadata"]["name"]
        spec["priority"] = chosen["value"]
        spec["preemptionPolicy"] = chosen.get("preemptionPolicy", _PREEMPTS)


def _named(registry: Registry, name: str) -> Object | None:
    if name in _SYSTEM:
        return {"metadata": {"name": name}, "value": _SYSTEM[name]}
    found = registry.store.get(RESOURCE, "", name)
    return found.object if found else None


def _default(registry: Registry) -> Object | None:
    """Of classes that are the default for all, the lowest (plugin/pkg/admission/priority)."""
    marked = [record.object for record in registry.store.list(RESOURCE) if record.object.get("globalDefault")]
    return min(marked, key=lambda each: int(each["value"]), default=None)
