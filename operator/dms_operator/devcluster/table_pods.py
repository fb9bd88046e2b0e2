"""The row of a pod: what `kubectl get pods` says about its containers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dms_operator.devcluster.human import age

Object = Mapping[str, Any]


def pod_cells(pod: Object, now: datetime) -> list[Any]:
    """Name, ready, status, restarts, age; wide: IP, node, nominated node, readiness gates."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    ready = sum(1 for each in status.get("containerStatuses") or () if _is_ready(each))
    return [
        pod["metadata"]["name"],
        f"{ready}/{len(spec.get('containers', ()))}",
        pod_reason(pod),
        _restarts(status, now),
        age(pod["metadata"].get("creationTimestamp"), now),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _gates(spec, status),
    ]


_ENDS = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def pod_conditions(pod: Object) -> list[dict[str, str]]:
    """The conditions of a pod's row: kubectl greys out what has completed."""
    phase = pod.get("status", {}).get("phase", "")
    if phase not in _ENDS:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _ENDS[phase]}]


def pod_reason(pod: Object) -> str:
    """The STATUS column: phase, or why the pod is not what its phase promises."""
    status = pod.get("status", {})
    terminal = status.get("phase") in ("Succeeded", "Failed")
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if not terminal:
            return "Terminating"
    reason = status.get("reason") or status.get("phase", "")
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    initializing = _init_reason(pod)
    if initializing and _condition(status, "Initialized").get("status") != "True":
        return initializing
    return _container_reason(status, initializing or reason)


def _init_reason(pod: Object) -> str:
    """What the first unfinished init container says, or nothing."""
    statuses = pod.get("status", {}).get("initContainerStatuses") or ()
    total = len(pod.get("spec", {}).get("initContainers", ()))
    for index, container in enumerate(statuses):
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended and ended.get("exitCode") == 0:
            continue
        if ended:
            return "Init:" + _ended(ended)
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return ""


def _container_reason(status: Object, reason: str) -> str:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated"):
            reason = _ended(state["terminated"])
        elif _is_ready(container):
            running = True
    if reason == "Completed" and running:
        return "Running" if _condition(status, "Ready").get("status") == "True" else "NotReady"
    return reason


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _is_ready(container: Object) -> bool:
    return bool(container.get("ready")) and "running" in (container.get("state") or {})


def _condition(status: Object, kind: str) -> Object:
    return next((each for each in status.get("conditions") or () if each["type"] == kind), {})


def _restarts(status: Object, now: datetime) -> str:
    containers = status.get("containerStatuses") or status.get("initContainerStatuses") or ()
    count = sum(container.get("restartCount", 0) for container in containers)
    ends = [((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for each in containers]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def _gates(spec: Object, status: Object) -> str:
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or ()]
    met = sum(_condition(status, gate).get("status") == "True" for gate in gates)
    return f"{met}/{len(gates)}" if gates else "<none>"
