"""The scheduler: binds pending pods to nodes, the most important first, and tries again when something changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dms_operator.devcluster.client import LocalClient

from .events import SchedulingEvents
from .loop import Controller, Key
from .meta import Clock, Object, find_condition, is_deleted, name, rfc3339, utc_now
from .placement import Room, place, rooms

_ALL: Key = ("all",)
_NAME = "default-scheduler"


class Scheduler(Controller):
    """One key: all pending pods are looked at together, because what one takes another cannot have."""

    watched = ("nodes", "pods")

    def __init__(self, client: LocalClient, clock: Clock = utc_now) -> None:
        super().__init__(client)
        self._clock = clock
        self._events = SchedulingEvents(client, clock)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """Any change of a pod or node may make room."""
        return [_ALL]

    def reconcile(self, key: Key) -> float | None:
        """Place what can be placed."""
        pods = self.client.list("pods")
        candidates = rooms(self.client.list("nodes"), pods)
        for pod in sorted(filter(is_waiting, pods), key=urgency):
            candidates = self._schedule(pod, candidates)
        return None

    def _schedule(self, pod: Object, candidates: list[Room]) -> list[Room]:
        placement = place(pod, candidates)
        if placement.node is None:
            self._refuse(pod, placement.message)
            return candidates
        self._bind(pod, placement.node)
        return [room.with_pod(pod) if name(room.node) == placement.node else room for room in candidates]

    def _bind(self, pod: Object, node: str) -> None:
        """Write node and condition in one version, past generation and managers, as a binding does."""
        namespace = pod["metadata"]["namespace"]
        condition = with_scheduled(pod, scheduled_condition(self._clock()))
        bound = {
            **pod,
            "metadata": dict(pod["metadata"]),
            "spec": {**pod["spec"], "nodeName": node},
            "status": {**(pod.get("status") or {}), **condition},
        }
        self.client.registry.store.put("pods", bound)
        message = f"Successfully assigned {namespace}/{name(pod)} to {node}"
        self._events.post(pod, "Normal", "Scheduled", message, "Binding")

    def _refuse(self, pod: Object, message: str) -> None:
        """Say why the pod waits, once for each reason."""
        condition = find_condition(pod.get("status") or {}, "PodScheduled")
        if condition is not None and condition.get("message") == message:
            return
        fresh = unschedulable_condition(pod, message, condition, self._clock())
        status = with_scheduled(pod, fresh)
        namespace = pod["metadata"]["namespace"]
        self.client.patch("pods", namespace, name(pod), {"status": status}, subresource="status")
        self._events.post(pod, "Warning", "FailedScheduling", message, "Scheduling")


def is_waiting(pod: Object) -> bool:
    """Tell whether the scheduler has to find a node for this pod."""
    spec, ended = pod["spec"], (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    ours = spec.get("schedulerName", _NAME) == _NAME and not spec.get("schedulingGates")
    return ours and not ended and not spec.get("nodeName") and not is_deleted(pod)


def urgency(pod: Object) -> tuple[int, str, str]:
    """Return the sort key of the scheduling queue: priority, then age, then name."""
    return (-int(pod["spec"].get("priority") or 0), pod["metadata"]["creationTimestamp"], name(pod))


def scheduled_condition(now: datetime) -> Object:
    """Return the condition of a bound pod."""
    return {
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
    }


def unschedulable_condition(pod: Object, message: str, old: Object | None, now: datetime) -> Object:
    """Return the condition of a pod that fits nowhere; it keeps the time at which waiting began."""
    since = old["lastTransitionTime"] if old is not None and old["status"] == "False" else rfc3339(now)
    return {
        "type": "PodScheduled",
        "observedGeneration": pod["metadata"].get("generation", 1),
        "status": "False",
        "lastTransitionTime": since,
        "reason": "Unschedulable",
        "message": message,
    }


def with_scheduled(pod: Object, condition: Object) -> Object:
    """Return the part of the status that carries the condition."""
    present = (pod.get("status") or {}).get("conditions") or []
    return {"conditions": [*(item for item in present if item["type"] != "PodScheduled"), condition]}
