"""Node lifecycle: taints follow the Ready condition; a node whose lease is not renewed becomes Unknown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from dms_operator.devcluster.client import LocalClient

from .events import EventRecorder
from .loop import Controller, Key
from .meta import Clock, Object, find_condition, is_deleted, name, parse_time, rfc3339, uid, utc_now
from .placement import tolerates

_PREFIX = "node.kubernetes.io/"
_LEASES = "kube-node-lease"
# kube-controller-manager --node-monitor-grace-period since 1.32
GRACE_SECONDS = 50.0
_TTL = "node.alpha.kubernetes.io/ttl"


class NodeController(Controller):
    """Keys: (node,)."""

    watched = ("nodes", "leases")

    def __init__(self, client: LocalClient, clock: Clock = utc_now, grace_seconds: float = GRACE_SECONDS) -> None:
        super().__init__(client)
        self._clock = clock
        self._grace = timedelta(seconds=grace_seconds)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A node, or the node that a lease belongs to."""
        if obj["kind"] == "Lease" and obj["metadata"]["namespace"] != _LEASES:
            return []
        return [(name(obj),)]

    def reconcile(self, key: Key) -> float | None:
        """Judge the heartbeat, then set annotation and taints."""
        node = self.client.get("nodes", None, key[0])
        if node is None:
            return None
        lease = self.client.get("leases", _LEASES, key[0])
        left = self._until_stale(lease)
        if left is not None and left <= 0:
            node = self._mark_unknown(node)
        wanted = {**node, **self._dressed(node)}
        if wanted != node:
            self.client.update("nodes", wanted)
        return left if left is not None and left > 0 else None

    def _until_stale(self, lease: Object | None) -> float | None:
        """Return the seconds until the lease counts as lost; None for a node without a kubelet."""
        renewed = ((lease or {}).get("spec") or {}).get("renewTime")
        if renewed is None:
            return None
        return (parse_time(renewed) + self._grace - self._clock()).total_seconds()

    def _mark_unknown(self, node: Object) -> Object:
        moment = rfc3339(self._clock())
        lost = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        conditions = [
            item if item["status"] == "Unknown" else {**item, "status": "Unknown", "lastTransitionTime": moment, **lost}
            for item in node["status"].get("conditions") or []
        ]
        if conditions == (node["status"].get("conditions") or []):
            return node
        return self.client.update_status("nodes", {**node, "status": {**node["status"], "conditions": conditions}})

    def _dressed(self, node: Object) -> Object:
        annotations = {**(node["metadata"].get("annotations") or {})}
        annotations.setdefault(_TTL, "0")
        ours = {_PREFIX + reason for reason in ("not-ready", "unreachable")}
        present = (node.get("spec") or {}).get("taints") or []
        kept = [taint for taint in present if taint["key"] not in ours]
        old = {(taint["key"], taint["effect"]): taint for taint in present}
        wanted = [old.get((taint["key"], taint["effect"]), taint) for taint in self._taints(node)]
        spec = {key: value for key, value in (node.get("spec") or {}).items() if key != "taints"}
        taints = {"taints": [*kept, *wanted]} if kept or wanted else {}
        return {"metadata": {**node["metadata"], "annotations": annotations}, "spec": {**spec, **taints}}

    def _taints(self, node: Object) -> list[Object]:
        ready = find_condition(node.get("status") or {}, "Ready")
        if ready is None or ready["status"] == "True":
            return []
        key = _PREFIX + ("not-ready" if ready["status"] == "False" else "unreachable")
        since = {"timeAdded": rfc3339(self._clock())}
        return [{"key": key, "effect": "NoSchedule", **since}, {"key": key, "effect": "NoExecute", **since}]


class TaintEvictor(Controller):
    """Deletes pods from nodes with NoExecute taints when their tolerations run out. Keys: (namespace, pod)."""

    watched = ("nodes", "pods")

    def __init__(self, client: LocalClient, clock: Clock = utc_now) -> None:
        super().__init__(client)
        self._clock = clock
        self._events = EventRecorder(client, "taint-eviction-controller", clock=clock)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A pod, or the pods of a node."""
        if obj["kind"] == "Pod":
            return [(obj["metadata"]["namespace"], name(obj))] if change != "DELETED" else []
        mine = [pod for pod in self.client.list("pods") if pod["spec"].get("nodeName") == name(obj)]
        return [(pod["metadata"]["namespace"], name(pod)) for pod in mine]

    def reconcile(self, key: Key) -> float | None:
        """Delete the pod, or return how long it may stay."""
        pod = self.client.get("pods", *key)
        if pod is None or is_deleted(pod) or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return None
        node = self.client.get("nodes", None, pod["spec"].get("nodeName") or "")
        left = self._stay(pod, node) if node is not None else None
        if left is not None and left <= 0:
            self._events.post(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key[0]}/{key[1]}")
            self._mark(pod)
            self.client.delete("pods", key[0], key[1], uid=uid(pod))
            return None
        return left

    def _mark(self, pod: Object) -> None:
        """Say that it is no fault of the pod (pkg/controller/tainteviction, addConditionAndDeletePod)."""
        disruption = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": rfc3339(self._clock()),
        }
        status = pod.get("status") or {}
        kept = [item for item in status.get("conditions") or [] if item["type"] != disruption["type"]]
        self.client.update_status("pods", {**pod, "status": {**status, "conditions": [*kept, disruption]}})

    def _stay(self, pod: Object, node: Object) -> float | None:
        """Return the seconds that the pod may stay; None for ever."""
        stays = []
        for taint in (node.get("spec") or {}).get("taints") or []:
            if taint["effect"] == "NoExecute":
                stays.append(self._tolerated(pod["spec"].get("tolerations") or [], taint))
        return min((stay for stay in stays if stay is not None), default=None)

    def _tolerated(self, tolerations: Iterable[Object], taint: Object) -> float | None:
        matching = [item.get("tolerationSeconds") for item in tolerations if tolerates(item, taint)]
        if not matching:
            return 0.0
        bounded = [seconds for seconds in matching if seconds is not None]
        if not bounded:
            return None
        since = parse_time(taint["timeAdded"]) if "timeAdded" in taint else self._clock()
        return (since + timedelta(seconds=min(bounded)) - self._clock()).total_seconds()
