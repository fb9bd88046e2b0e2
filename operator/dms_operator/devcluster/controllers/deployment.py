"""Deployments: one ReplicaSet a template, rolled over within maxSurge and maxUnavailable."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from dms_operator.devcluster.client import LocalClient

from .events import EventRecorder
from .loop import Controller, Key
from .meta import (
    Clock,
    Object,
    controller_of,
    controller_reference,
    find_condition,
    is_deleted,
    labels,
    name,
    rfc3339,
    uid,
    utc_now,
)

HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"
_LOOK_AGAIN_SECONDS = 0.1


class DeploymentController(Controller):
    """Keys: (namespace, deployment)."""

    watched = ("deployments", "replicasets")

    def __init__(self, client: LocalClient, clock: Clock = utc_now) -> None:
        super().__init__(client)
        self._clock = clock
        self._events = EventRecorder(client, "deployment-controller", clock=clock)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A deployment, or the one that controls a replica set."""
        if obj["kind"] == "Deployment":
            return [(obj["metadata"]["namespace"], name(obj))]
        owner = controller_of(obj)
        return [(obj["metadata"]["namespace"], owner["name"])] if owner else []

    def reconcile(self, key: Key) -> float | None:
        """Move one step from the old replica sets to the new one; write the status."""
        deployment = self.client.get("deployments", *key)
        if deployment is None or is_deleted(deployment):
            return None
        sets = [item for item in self.client.list("replicasets", key[0]) if _owned(item, deployment)]
        waits = False
        if not deployment["spec"].get("paused"):
            waits = self._roll(deployment, sets)
            sets = [item for item in self.client.list("replicasets", key[0]) if _owned(item, deployment)]
        self._write_status(deployment, sets)
        return _LOOK_AGAIN_SECONDS if waits else None

    def _roll(self, deployment: Object, sets: Sequence[Object]) -> bool:
        """Says whether it waits for pods to go, of which nobody tells it."""
        current = next((item for item in sets if labels(item).get(HASH) == template_hash(deployment)), None)
        if current is None:
            current = self._create_set(deployment, sets)
        elif _revision(current) < (newest := max(map(_revision, sets))):  # rolled back to
            self._set_revision(deployment, current, newest + 1)
        old = [item for item in sets if uid(item) != uid(current)]
        waits = _is_recreated(deployment) and self._has_pods(deployment["metadata"]["namespace"], old)
        for item, replicas in plan_scaling(deployment, current, old, waits=waits):
            if replicas != item["spec"]["replicas"]:
                self._scale(deployment, item, replicas)
        return waits

    def _has_pods(self, namespace: str, sets: Sequence[Object]) -> bool:
        """Whether pods of these sets have not ended; those that are being deleted count until they are gone."""
        owners = {uid(item) for item in sets}
        pods = (pod for pod in self.client.list("pods", namespace) if (controller_of(pod) or {}).get("uid") in owners)
        return any(pod["status"].get("phase") not in ("Succeeded", "Failed") for pod in pods)

    def _create_set(self, deployment: Object, sets: Sequence[Object]) -> Object:
        revision = 1 + max(map(_revision, sets), default=0)
        created = self.client.create("replicasets", deployment["metadata"]["namespace"], new_set(deployment, revision))
        self._set_revision(deployment, created, revision)
        return created

    def _set_revision(self, deployment: Object, current: Object, revision: int) -> None:
        """Number the deployment, and the set that it is at."""
        change = {"metadata": {"annotations": {_REVISION: str(revision)}}}
        for resource, obj in (("replicasets", current), ("deployments", deployment)):
            self.client.patch(resource, obj["metadata"]["namespace"], name(obj), change)

    def _scale(self, deployment: Object, item: Object, replicas: int) -> None:
        before = item["spec"]["replicas"]
        self.client.patch("replicasets", item["metadata"]["namespace"], name(item), {"spec": {"replicas": replicas}})
        way = "up" if replicas > before else "down"
        message = f"Scaled {way} replica set {name(item)} from {before} to {replicas}"
        self._events.post(deployment, "Normal", "ScalingReplicaSet", message)

    def _write_status(self, deployment: Object, sets: Sequence[Object]) -> None:
        live = self.client.get("deployments", deployment["metadata"]["namespace"], name(deployment))
        if live is None or uid(live) != uid(deployment):
            return
        status = deployment_status(live, sets, rfc3339(self._clock()))
        if status != live.get("status"):
            self.client.update_status("deployments", {**live, "status": status})


def _is_recreated(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


def _owned(item: Object, deployment: Object) -> bool:
    owner = controller_of(item)
    return owner is not None and owner["uid"] == uid(deployment)


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def template_hash(deployment: Object) -> str:
    """Return a short name for the deployment's pod template."""
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def new_set(deployment: Object, revision: int) -> Object:
    """Return the ReplicaSet of the deployment's present template, with no replicas yet."""
    spec, mark = deployment["spec"], {HASH: template_hash(deployment)}
    template = spec["template"]
    metadata = template.get("metadata") or {}
    marked = {**metadata, "labels": {**(metadata.get("labels") or {}), **mark}}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), **mark}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name(deployment)}-{mark[HASH]}",
            "labels": marked["labels"],
            "annotations": {_REVISION: str(revision)},
            "ownerReferences": [controller_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": {"replicas": 0, "selector": selector, "template": {**template, "metadata": marked}},
    }


def plan_scaling(
    deployment: Object, current: Object, old: Sequence[Object], *, waits: bool = False
) -> list[tuple[Object, int]]:
    """Return each replica set with the replicas that it should have now.

    Never more than replicas + maxSurge are wanted, never fewer than replicas - maxUnavailable available. A deployment
    that is recreated gets no new pod while it `waits` for old ones to go.
    """
    wanted = int(deployment["spec"].get("replicas", 1))
    surge, unavailable = rolling_limits(deployment)
    if _is_recreated(deployment):
        busy = waits or any((item.get("status") or {}).get("replicas") for item in old)
        return [*((item, 0) for item in old), (current, 0 if busy else wanted)]
    present = int(current["spec"]["replicas"])
    total = present + sum(item["spec"]["replicas"] for item in old)
    room = max(0, wanted + surge - total)
    plan = [(current, min(wanted, present + room) if present <= wanted else wanted)]
    spare = sum((item.get("status") or {}).get("availableReplicas", 0) for item in (current, *old))
    removable = max(0, spare - (wanted - unavailable))
    for item in old:
        living, usable = (
            int(item["spec"]["replicas"]),
            int((item.get("status") or {}).get("availableReplicas", 0)),
        )
        broken = living - usable
        cut = min(living, broken + min(removable, usable))
        removable -= cut - min(cut, broken)
        plan.append((item, living - cut))
    return plan


def rolling_limits(deployment: Object) -> tuple[int, int]:
    """Return maxSurge (rounded up) and maxUnavailable (rounded down) in pods; not both 0."""
    wanted = int(deployment["spec"].get("replicas", 1))
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), wanted, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), wanted, math.floor)
    return surge, unavailable if surge or unavailable else 1


def _share(value: Any, total: int, rounding: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounding(int(value[:-1]) * total / 100))
    return int(value)


def deployment_status(deployment: Object, sets: Sequence[Object], moment: str) -> Object:
    """Return counts and the conditions Available and Progressing."""
    wanted = int(deployment["spec"].get("replicas", 1))
    current = [item for item in sets if labels(item).get(HASH) == template_hash(deployment)]
    counts = {
        "replicas": _total(sets, "replicas"),
        "updatedReplicas": _total(current, "replicas"),
        "readyReplicas": _total(sets, "readyReplicas"),
        "availableReplicas": _total(sets, "availableReplicas"),
    }
    missing = max(0, wanted - counts["availableReplicas"])
    done = counts["replicas"] == counts["updatedReplicas"] == counts["availableReplicas"] == wanted
    conditions = [
        _condition(deployment, moment, "Available", *_availability(deployment, counts["availableReplicas"])),
        _condition(deployment, moment, "Progressing", *_progress(current, done)),
    ]
    kept = {key: value for key, value in {**counts, "unavailableReplicas": missing}.items() if value}
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        **kept,
        "conditions": conditions,
    }


def _total(sets: Iterable[Object], field: str) -> int:
    return sum(int((item.get("status") or {}).get(field, 0)) for item in sets)


def _availability(deployment: Object, available: int) -> tuple[str, str, str]:
    wanted = int(deployment["spec"].get("replicas", 1))
    if available >= wanted - rolling_limits(deployment)[1]:
        return "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    return "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."


def _progress(current: Sequence[Object], done: bool) -> tuple[str, str, str]:
    title = f'ReplicaSet "{name(current[0])}"' if current else "ReplicaSet"
    if done:
        return "True", "NewReplicaSetAvailable", f"{title} has successfully progressed."
    return "True", "ReplicaSetUpdated", f"{title} is progressing."


def _condition(deployment: Object, moment: str, kind: str, status: str, reason: str, message: str) -> Object:
    old = find_condition(deployment.get("status") or {}, kind)
    if old is not None and (old["status"], old["reason"], old["message"]) == (status, reason, message):
        return old
    since = old["lastTransitionTime"] if old is not None and old["status"] == status else moment
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
