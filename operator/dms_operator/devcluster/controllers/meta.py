"""Small facts about any Kubernetes object: time, owners, conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time, with its zone."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Write a time as metav1.Time does: whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Write a time as metav1.MicroTime does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Read a metav1.Time or MicroTime."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def uid(obj: Object) -> str:
    """Return metadata.uid."""
    return str(obj["metadata"]["uid"])


def name(obj: Object) -> str:
    """Return metadata.name."""
    return str(obj["metadata"]["name"])


def namespace(obj: Object) -> str | None:
    """Return metadata.namespace; None for cluster-scoped objects."""
    value = obj["metadata"].get("namespace")
    return str(value) if value is not None else None


def labels(obj: Object) -> dict[str, str]:
    """Return metadata.labels, {} when absent."""
    return dict(obj["metadata"].get("labels") or {})


def is_deleted(obj: Object) -> bool:
    """Tell whether deletion of the object has begun."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def finalizers(obj: Object) -> list[str]:
    """Return metadata.finalizers, [] when absent."""
    return list(obj["metadata"].get("finalizers") or [])


def without_finalizer(obj: Object, finalizer: str) -> Object:
    """Return a copy that no longer carries the finalizer."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "finalizers"}
    remaining = [item for item in finalizers(obj) if item != finalizer]
    return {**obj, "metadata": {**metadata, **({"finalizers": remaining} if remaining else {})}}


def controller_of(obj: Object) -> Object | None:
    """Return the owner reference that is marked as the controller."""
    references = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def controller_reference(owner: Object, api_version: str, kind: str) -> Object:
    """Return the owner reference that a controller puts on what it creates."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def find_condition(status: Object, kind: str) -> Object | None:
    """Return the condition of this type, if the status has one."""
    return next((item for item in status.get("conditions") or [] if item["type"] == kind), None)


def has_condition(status: Object, kind: str) -> bool:
    """Tell whether the condition of this type is True."""
    condition = find_condition(status, kind)
    return condition is not None and condition["status"] == "True"


def selects(selector: Object, candidate: dict[str, str]) -> bool:
    """Match a metav1.LabelSelector (matchLabels and matchExpressions) against labels."""
    wanted = (selector.get("matchLabels") or {}).items()
    expressions = selector.get("matchExpressions") or []
    return all(candidate.get(k) == v for k, v in wanted) and all(matches(e, candidate) for e in expressions)


def matches(expression: Object, candidate: dict[str, str]) -> bool:
    """Evaluate one selector requirement; Gt and Lt exist for nodes only.

    Raises ValueError for an operator that Kubernetes does not have.
    """
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in candidate and candidate[key] in values
        case "NotIn":
            return key not in candidate or candidate[key] not in values
        case "Exists":
            return key in candidate
        case "DoesNotExist":
            return key not in candidate
        case "Gt":
            return _integer(candidate.get(key)) is not None and int(candidate[key]) > int(values[0])
        case "Lt":
            return _integer(candidate.get(key)) is not None and int(candidate[key]) < int(values[0])
        case operator:
            raise ValueError(f"unknown selector operator {operator!r}")


def _integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
