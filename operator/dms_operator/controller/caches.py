"""What is known of the cluster, by key: raw objects cut down to the fields that are read, to keep memory small.

A list answer replaces what is known of its resource and namespace; watch events then change single objects; the
answers to our own writes are put in at once, so that no plan is made from what we know to be outdated.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..api import labels

Raw = Mapping[str, Any]
"""A Kubernetes object as it came over the wire (or cut down)."""


class ObjectName(NamedTuple):
    """Namespace (empty for cluster-wide kinds) and name."""

    namespace: str
    name: str

    @classmethod
    def of(cls, body: Raw) -> "ObjectName":
        """Name of an object."""
        return cls(body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _cut(body: Raw, fields: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    return {
        part: {name: body[part][name] for name in names if name in body.get(part, {})} for part, names in fields.items()
    }


_SHARED_LENGTH = 40
"""Characters of the longest string that is worth looking for among those known: names, labels, times, uids."""


def compact(value: Any) -> Any:
    """The same JSON value with keys and short strings that are shared by all objects: a third less memory."""
    if isinstance(value, dict):
        return {sys.intern(key): compact(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [compact(entry) for entry in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= _SHARED_LENGTH else value


_IDENTITY = ("name", "namespace", "uid", "resourceVersion")
_METADATA = (
    *_IDENTITY,
    "generation",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "creationTimestamp",
    "deletionTimestamp",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def cut_deployment(body: Raw) -> dict[str, Any]:
    """Spec and status whole; of metadata what the planner reads."""
    cut = _cut(body, {"metadata": _METADATA})
    annotations = cut["metadata"].get("annotations")
    if annotations:
        cut["metadata"]["annotations"] = {key: text for key, text in annotations.items() if key != _LAST_APPLIED}
    return {**cut, "spec": body.get("spec", {}), "status": body.get("status") or {}}


def cut_job(body: Raw) -> dict[str, Any]:
    """Everything but the pod template, which holds the largest part of a Job."""
    return {**_cut(body, {"metadata": _METADATA}), "status": body.get("status", {})}


def cut_pod(body: Raw) -> dict[str, Any]:
    """Where it runs, and how its containers are."""
    status = ("phase", "reason", "message", "conditions", "startTime", "containerStatuses")
    cut = _cut(body, {"metadata": _METADATA, "spec": ("nodeName", "nodeSelector"), "status": status})
    containers = body.get("spec", {}).get("containers", [])
    cut["spec"]["containers"] = [{"name": one["name"], "image": one["image"]} for one in containers]
    return cut


def cut_node(body: Raw) -> dict[str, Any]:
    """Our labels and annotations, what it offers of ours, whether it is ready: the rest changes often, and is much."""
    metadata, status = body["metadata"], body.get("status", {})
    marks = {part: _ours(metadata.get(part) or {}) for part in ("labels", "annotations")}
    offered = {part: _ours(status.get(part) or {}) for part in ("capacity", "allocatable")}
    # without its heartbeat, which changes all the time
    conditions = status.get("conditions") or []
    ready = [{"type": "Ready", "status": each["status"]} for each in conditions if each["type"] == "Ready"]
    return {
        "metadata": {**_cut(body, {"metadata": _IDENTITY})["metadata"], **marks},
        "status": {**offered, "conditions": ready},
    }


def _ours(entries: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in entries.items() if name.startswith(f"{labels.GROUP}/")}


def owner(body: Raw) -> Mapping[str, str]:
    """The controlling owner reference, or an empty mapping."""
    references = body["metadata"].get("ownerReferences", [])
    return next((reference for reference in references if reference.get("controller")), {})


class ObjectCache:
    """Objects of one resource by name, and grouped by the uid of their controlling owner."""

    def __init__(self, cut: Callable[[Raw], dict[str, Any]]) -> None:
        self._cut = cut
        self._objects: dict[ObjectName, dict[str, Any]] = {}
        self._owned: defaultdict[str, set[ObjectName]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._objects)

    def values(self) -> list[dict[str, Any]]:
        """All objects."""
        return list(self._objects.values())

    def get(self, name: ObjectName) -> dict[str, Any] | None:
        """An object, or None."""
        return self._objects.get(name)

    def owned_by(self, uid: str) -> list[dict[str, Any]]:
        """Objects whose controlling owner has this uid."""
        return [self._objects[name] for name in sorted(self._owned.get(uid, ()))]

    def put(self, body: Raw) -> bool:
        """Take over an object unless this or a newer version is known; says whether anything that we read changed."""
        name = ObjectName.of(body)
        known = self._objects.get(name)
        if known is not None and _version(body) <= _version(known):
            return False
        cut = compact(self._cut(body))
        self._remove(name)
        self._objects[name] = cut
        if uid := owner(cut).get("uid"):
            self._owned[uid].add(name)
        return known is None or _without_version(known) != _without_version(cut)

    def drop(self, body: Raw) -> bool:
        """Forget an object that is gone, but not a later one of the same name; says whether it was known."""
        name = ObjectName.of(body)
        known = self._objects.get(name)
        if known is None or known["metadata"]["uid"] != body["metadata"]["uid"]:
            return False
        self._remove(name)
        return True

    def replace(self, namespace: str | None, bodies: Iterable[Raw]) -> list[dict[str, Any]]:
        """Take over a list answer of one namespace, or of all (None); gives the objects that came, changed or went."""
        listed = {ObjectName.of(body): body for body in bodies}
        gone = [
            known for name, known in self._objects.items() if name not in listed and namespace in (None, name.namespace)
        ]
        for known in gone:
            self._remove(ObjectName.of(known))
        return gone + [self._objects[name] for name, body in listed.items() if self.put(body)]

    def _remove(self, name: ObjectName) -> None:
        known = self._objects.pop(name, None)
        uid = owner(known).get("uid") if known else None
        if uid:
            self._owned[uid].discard(name)
            if not self._owned[uid]:
                del self._owned[uid]


def _version(body: Raw) -> int:
    """Resource versions are ordered decimal numbers (Kubernetes API concepts, since 1.35; etcd revisions before)."""
    return int(body["metadata"].get("resourceVersion") or 0)


def _without_version(body: Raw) -> dict[str, Any]:
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return {**body, "metadata": metadata}


class Caches:
    """The four resources that the operator watches."""

    def __init__(self) -> None:
        self.deployments = ObjectCache(cut_deployment)
        self.jobs = ObjectCache(cut_job)
        self.pods = ObjectCache(cut_pod)
        self.nodes = ObjectCache(cut_node)

    def deployment_of(self, body: Raw) -> ObjectName | None:
        """The deployment that a Job or a pod works for, by owner or its own word; None when a link is not known yet."""
        above = owner(body)
        if above.get("kind") == labels.KIND:
            return ObjectName(body["metadata"]["namespace"], above["name"])
        if above.get("kind") == "Job":
            job = self.jobs.get(ObjectName(body["metadata"]["namespace"], above["name"]))
            return self.deployment_of(job) if job else None
        served = (body["metadata"].get("annotations") or {}).get(labels.REMOVES_FOR)
        return ObjectName(body["metadata"]["namespace"], served) if served else None
