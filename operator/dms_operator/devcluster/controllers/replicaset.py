"""ReplicaSets: as many pods as asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dms_operator.devcluster.client import LocalClient

from .events import EventRecorder
from .loop import Controller, Key
from .meta import (
    Clock,
    Object,
    controller_of,
    controller_reference,
    has_condition,
    is_deleted,
    name,
    uid,
    utc_now,
)


class ReplicaSetController(Controller):
    """Keys: (namespace, replica set)."""

    watched = ("replicasets", "pods")

    def __init__(self, client: LocalClient, clock: Clock = utc_now) -> None:
        super().__init__(client)
        self._events = EventRecorder(client, "replicaset-controller", clock=clock)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A replica set, or the one that controls a pod."""
        if obj["kind"] == "ReplicaSet":
            return [(obj["metadata"]["namespace"], name(obj))]
        owner = controller_of(obj)
        return [(obj["metadata"]["namespace"], owner["name"])] if owner and owner["kind"] == "ReplicaSet" else []

    def reconcile(self, key: Key) -> float | None:
        """Create or delete pods until the number is right; write the status."""
        replica_set = self.client.get("replicasets", *key)
        if replica_set is None or is_deleted(replica_set):
            return None
        mine = [pod for pod in self.client.list("pods", key[0]) if _is_active(pod, replica_set)]
        surplus = len(mine) - int(replica_set["spec"].get("replicas", 1))
        for _ in range(-surplus):
            pod = self.client.create("pods", key[0], new_pod(replica_set))
            self._events.post(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {name(pod)}")
        for pod in sorted(mine, key=_worth)[: max(0, surplus)]:
            self.client.delete("pods", key[0], name(pod), uid=uid(pod))
            self._events.post(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name(pod)}")
        self._write_status(key)
        return None

    def _write_status(self, key: Key) -> None:
        live = self.client.get("replicasets", *key)
        if live is None:
            return
        status = replica_set_status(live, [pod for pod in self.client.list("pods", key[0]) if _is_active(pod, live)])
        if status != live.get("status"):
            self.client.update_status("replicasets", {**live, "status": status})


def _is_active(pod: Object, replica_set: Object) -> bool:
    owner = controller_of(pod)
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return owner is not None and owner["uid"] == uid(replica_set) and not ended and not is_deleted(pod)


def _worth(pod: Object) -> tuple[bool, bool, str]:
    """Return the sort key by which pods are given up: unbound, unready, youngest first."""
    status = pod.get("status") or {}
    return (
        bool(pod["spec"].get("nodeName")),
        has_condition(status, "Ready"),
        pod["metadata"]["creationTimestamp"],
    )


def new_pod(replica_set: Object) -> Object:
    """Return the pod that the template describes."""
    template = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **{key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)},
            "generateName": f"{name(replica_set)}-",
            "ownerReferences": [controller_reference(replica_set, "apps/v1", "ReplicaSet")],
        },
        "spec": template["spec"],
    }


def replica_set_status(replica_set: Object, pods: Sequence[Object]) -> Object:
    """Return the counts; a ready pod counts as available (minReadySeconds is not waited for)."""
    ready = sum(has_condition(pod.get("status") or {}, "Ready") for pod in pods)
    counts = {"fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
    generation = replica_set["metadata"].get("generation", 1)
    kept = {key: value for key, value in counts.items() if value}
    return {"replicas": len(pods), **kept, "observedGeneration": generation}
