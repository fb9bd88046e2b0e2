"""What is known of the cluster, by key: raw objects cut down to the fields that are read, to keep memory small.

A list answer replaces what is known of its resource and namespace; watch events then change single objects; the
answers to our own writes are put in at once, so that no plan is made from what we know to be outdated.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..api import labels
from .board_queue import waiter
from .object_cache import ObjectCache, ObjectName, Raw, owner
from .shared_artifacts import store_needed

__all__ = ["Caches", "ObjectCache", "ObjectName", "Raw", "owner"]


def _cut(body: Raw, fields: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    return {part: _only(body.get(part, {}), names) for part, names in fields.items()}


_IDENTITY = ("name", "namespace", "uid", "resourceVersion")
_TIMES = ("creationTimestamp", "deletionTimestamp")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_OWNER = ("kind", "name", "uid", "controller")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_JOB_CONDITIONS = ("Complete", "Failed")
_POD_CONDITIONS = ("PodScheduled", "DisruptionTarget")
_STATE = ("exitCode", "reason", "message")


def cut_deployment(body: Raw) -> dict[str, Any]:
    """Spec and status whole; of metadata what the planner reads."""
    own = ("generation", "labels", "annotations", "ownerReferences", "finalizers")
    cut = _cut(body, {"metadata": (*_IDENTITY, *_TIMES, *own)})
    annotations = cut["metadata"].get("annotations")
    if annotations:
        cut["metadata"]["annotations"] = {key: text for key, text in annotations.items() if key != _LAST_APPLIED}
    return {**cut, "spec": body.get("spec", {}), "status": body.get("status") or {}}


def cut_job(body: Raw) -> dict[str, Any]:
    """Our marks, and how it goes; not the pod template, which is the largest part of a Job."""
    status = ("startTime", "completionTime", "failed")
    cut = _cut(body, {"metadata": (*_IDENTITY, *_TIMES), "status": status})
    cut["metadata"] |= _ownership(body) | _marks(body)
    cut["status"] |= _conditions(body, _JOB_CONDITIONS)
    return cut


def cut_pod(body: Raw) -> dict[str, Any]:
    """Where it runs or why it does not, and how its containers are."""
    status = ("phase", "reason", "message")
    spec = ("nodeName", "priority")
    cut = _cut(body, {"metadata": (*_IDENTITY, *_TIMES), "spec": spec, "status": status})
    cut["metadata"] |= _ownership(body) | _marks(body)
    cut["spec"]["nodeSelector"] = _ours(body.get("spec", {}).get("nodeSelector") or {})
    cut["status"] |= _conditions(body, _POD_CONDITIONS)
    seen = body.get("status", {}).get("containerStatuses") or []
    cut["status"]["containerStatuses"] = [_container(each) for each in seen]
    return cut


def cut_node(body: Raw) -> dict[str, Any]:
    """Our labels and annotations, what it offers of ours, whether it is ready: the rest changes often, and is much."""
    status = body.get("status", {})
    offered = {part: _ours(status.get(part) or {}) for part in ("capacity", "allocatable")}
    # without its heartbeat, which changes all the time
    conditions = status.get("conditions") or []
    read = {"Ready": ("type", "status"), labels.BOARD_CONDITION: ("type", "status", "reason", "message")}
    seen = [{name: each.get(name, "") for name in read[each["type"]]} for each in conditions if each["type"] in read]
    return {
        "metadata": {**_cut(body, {"metadata": _IDENTITY})["metadata"], **_marks(body)},
        "status": {**offered, "conditions": seen},
    }


def cut_vehicle(body: Raw) -> dict[str, Any]:
    """All labels, which people choose vehicles by; our annotations; whether it takes pods, and since when."""
    metadata = _cut(body, {"metadata": (*_IDENTITY, "creationTimestamp")})["metadata"]
    conditions = (body.get("status") or {}).get("conditions") or []
    # without its heartbeat, which changes all the time
    read = ("type", "status", "lastTransitionTime")
    seen = [{name: each.get(name, "") for name in read} for each in conditions if each["type"] == "Ready"]
    labels_of_all = body["metadata"].get("labels") or {}
    cordon = _cut(body, {"spec": ("unschedulable",)})["spec"]
    kept = {"metadata": {**metadata, **_marks(body), "labels": labels_of_all}, "status": {"conditions": seen}}
    return kept | ({"spec": cordon} if cordon else {})


def _ownership(body: Raw) -> dict[str, Any]:
    above = owner(body)
    return {"ownerReferences": [_only(above, _OWNER)]} if above else {}


def _conditions(body: Raw, kinds: Sequence[str]) -> dict[str, Any]:
    found = [each for each in body.get("status", {}).get("conditions") or [] if each["type"] in kinds]
    return {"conditions": [_only(each, _CONDITION) for each in found]} if found else {}


def _container(status: Raw) -> dict[str, Any]:
    state = {kind: _only(detail, _STATE) for kind, detail in (status.get("state") or {}).items()}
    return {**_only(status, ("name", "image")), "state": state}


def _only(body: Raw, fields: Iterable[str]) -> dict[str, Any]:
    return {field: body[field] for field in fields if field in body}


def has_rollout(deployment: Raw) -> bool:
    """Whether a deployment's model goes to vehicles."""
    return bool((deployment.get("spec") or {}).get("rollout"))


def _ours(entries: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in entries.items() if name.startswith(f"{labels.GROUP}/")}


def _marks(body: Raw) -> dict[str, dict[str, str]]:
    return {part: _ours(body["metadata"].get(part) or {}) for part in ("labels", "annotations")}


def _deployment_of(job: Raw) -> str:
    """Name of the deployment that a Job works for, by its owner or its own word; empty when it is not ours."""
    above = owner(job)
    if above:
        return above["name"] if above["kind"] == labels.KIND else ""
    return str((job["metadata"].get("annotations") or {}).get(labels.REMOVES_FOR, ""))


def _held_or_wanted(pod: Raw) -> str:
    """The node whose board a benchmark holds, or its place in a board's line; empty for others."""
    waits = waiter(pod)
    if waits:
        return waits.word
    is_benchmark = pod["metadata"]["labels"].get(labels.STAGE) == "benchmark"
    is_live = pod["status"].get("phase") not in ("Succeeded", "Failed")
    return str(pod["spec"].get("nodeName", "")) if is_benchmark and is_live else ""


class Caches:
    """What the operator watches: boards and vehicles are nodes, each by a label of its own."""

    def __init__(self) -> None:
        self.deployments = ObjectCache(cut_deployment, store_needed, has_rollout)
        self.jobs = ObjectCache(cut_job, _deployment_of)
        self.pods = ObjectCache(cut_pod, _held_or_wanted)
        self.nodes = ObjectCache(cut_node)
        self.vehicles = ObjectCache(cut_vehicle)

    def deployment_of(self, body: Raw) -> ObjectName | None:
        """The deployment that a Job or a pod works for; None when a link is not known yet, or leads elsewhere."""
        above, namespace = owner(body), body["metadata"].get("namespace", "")
        is_pod = above.get("kind") == "Job"
        name = self.jobs.tag_of(ObjectName(namespace, above["name"])) if is_pod else _deployment_of(body)
        return ObjectName(namespace, name) if name else None
