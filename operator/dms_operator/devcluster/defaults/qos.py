"""The quality-of-service class of a pod (k8s component-helpers qos.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMPUTE = ("cpu", "memory")


def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort."""
    all_resources = [one.get("resources") or {} for one in (*spec.get("initContainers", ()), *spec["containers"])]
    if not any(_compute(one, "requests") or _compute(one, "limits") for one in all_resources):
        return "BestEffort"
    guaranteed = all(
        len(_compute(one, "limits")) == len(_COMPUTE) and _compute(one, "limits") == _compute(one, "requests")
        for one in all_resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: value for name, value in (resources.get(kind) or {}).items() if name in _COMPUTE}
