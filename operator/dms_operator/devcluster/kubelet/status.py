"""Pod status from container states, as the kubelet reports it. Pure functions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dms_operator.devcluster.controllers.meta import Object, find_condition, is_deleted, rfc3339
from dms_operator.devcluster.controllers.quantity import parse_quantity

CREATING: Object = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING: Object = {"waiting": {"reason": "PodInitializing"}}
LOOPBACK = "127.0.0.1"
EVICTED = "Evicted"  # pkg/kubelet/eviction Reason
DISRUPTION = "DisruptionTarget"


@dataclass
class ContainerState:
    """What the kubelet knows of one container. `state` and `last_state` are those of the API."""

    spec: Object
    state: Object = field(default_factory=lambda: CREATING)
    last_state: Object = field(default_factory=dict)
    restarts: int = 0
    container_id: str = ""
    ready: bool = False

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.spec["name"])

    @property
    def terminated(self) -> Object | None:
        """The end of the container, if it has ended."""
        return self.state.get("terminated")

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return "running" in self.state

    @property
    def succeeded(self) -> bool:
        """Whether it ended with code 0."""
        return self.terminated is not None and self.terminated["exitCode"] == 0


@dataclass(frozen=True)
class PodView:
    """All that a pod status is computed from."""

    pod: Object
    initial: Sequence[ContainerState]
    main: Sequence[ContainerState]
    started_at: str
    sandbox: bool
    cleaned: bool = False
    verdict: tuple[str, str] | None = None


def pod_status(view: PodView, now: datetime) -> Object:
    """Return the whole status. `cleaned` says that nothing of the pod runs any more: only then may it end.

    `verdict` (reason, message) fails the pod as a whole, for example DeadlineExceeded.
    """
    phase = pod_phase(view)
    previous = view.pod.get("status") or {}
    ended = phase in ("Succeeded", "Failed")
    shown = phase if view.cleaned or not ended else _living_phase(view)
    status: dict[str, Any] = {
        "observedGeneration": view.pod["metadata"].get("generation", 1),
        "phase": shown,
        "conditions": _conditions(view, phase, previous, now),
        "hostIP": LOOPBACK,
        "hostIPs": [{"ip": LOOPBACK}],
        **_address(view),
        "startTime": view.started_at,
        "containerStatuses": [container_status(item) for item in view.main],
        "qosClass": previous.get("qosClass", "BestEffort"),
        **_resources(view),
    }
    if view.initial:
        status["initContainerStatuses"] = [container_status(item) for item in view.initial]
    if view.verdict:
        status["reason"], status["message"] = view.verdict
    return status


def _address(view: PodView) -> Object:
    started = any(item.container_id for item in (*view.initial, *view.main))
    return {"podIP": LOOPBACK, "podIPs": [{"ip": LOOPBACK}]} if started else {}


def _resources(view: PodView) -> Object:
    if not any(item.container_id for item in view.main):
        return {"resources": {}}
    allocated: dict[str, list[str]] = {}
    for item in view.main:
        for resource, amount in _requests(item).items():
            allocated.setdefault(resource, []).append(str(amount))
    total = {resource: _sum(amounts) for resource, amounts in allocated.items()}
    reported = {resource: amount for resource, amount in total.items() if resource in ("cpu", "memory")}
    requests = {"requests": reported} if reported else {}
    return {**({"allocatedResources": total} if total else {}), "resources": requests}


def _requests(item: ContainerState) -> Object:
    return dict((item.spec.get("resources") or {}).get("requests") or {})


def _sum(amounts: Sequence[str]) -> str:
    return amounts[0] if len(amounts) == 1 else str(sum(map(parse_quantity, amounts)))


def _living_phase(view: PodView) -> str:
    return "Running" if _was_running(view) else "Pending"


def pod_phase(view: PodView) -> str:
    """Return the phase that the containers add up to, by the restart policy."""
    policy = "Never" if is_deleted(view.pod) else view.pod["spec"].get("restartPolicy", "Always")
    if view.verdict:
        return "Failed"
    if policy == "Never" and any(item.terminated and not item.succeeded for item in view.initial):
        return "Failed"
    if not all(item.succeeded for item in view.initial):
        return "Pending"
    if policy != "Always" and all(item.terminated for item in view.main):
        if all(item.succeeded for item in view.main):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    return _living_phase(view)


def _was_running(view: PodView) -> bool:
    return any(item.running or item.terminated or item.restarts for item in view.main)


def _conditions(view: PodView, phase: str, previous: Object, now: datetime) -> list[Object]:
    initialized = all(item.succeeded for item in view.initial)
    wanted = {
        "PodReadyToStartContainers": {"status": _truth(view.sandbox and not view.cleaned)},
        "Initialized": _initialized(view, phase, initialized),
        "Ready": _readiness(view, phase),
        "ContainersReady": _readiness(view, phase),
        "PodScheduled": {"status": "True"},
    }
    if view.verdict and view.verdict[0] == EVICTED:
        disruption = {"status": "True", "reason": "TerminationByKubelet", "message": view.verdict[1]}
        wanted = {DISRUPTION: disruption, **wanted}
    generation = view.pod["metadata"].get("generation", 1)
    own = [_condition(kind, value, previous, generation, now) for kind, value in wanted.items()]
    foreign = [item for item in previous.get("conditions") or [] if item["type"] not in wanted]
    return [*foreign, *own]


def _truth(value: bool) -> str:
    return "True" if value else "False"


def _initialized(view: PodView, phase: str, initialized: bool) -> Object:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    if initialized:
        return {"status": "True"}
    waiting = [item.name for item in view.initial if not item.succeeded]
    message = f"containers with incomplete status: [{' '.join(waiting)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": message}


def _readiness(view: PodView, phase: str) -> Object:
    if phase in ("Succeeded", "Failed"):
        return {"status": "False", "reason": {"Succeeded": "PodCompleted", "Failed": "PodFailed"}[phase]}
    unready = [item.name for item in view.main if not item.ready]
    if not unready:
        return {"status": "True"}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"status": "False", "reason": "ContainersNotReady", "message": message}


def _condition(kind: str, value: Object, previous: Object, generation: int, now: datetime) -> Object:
    old = find_condition(previous, kind)
    unchanged = old is not None and old["status"] == value["status"]
    moment = old["lastTransitionTime"] if old is not None and unchanged else rfc3339(now)
    head = {"type": kind, "observedGeneration": generation, "status": value["status"]}
    rest = {key: text for key, text in value.items() if key != "status"}
    return {**head, "lastTransitionTime": moment, **rest}


def container_status(item: ContainerState) -> Object:
    """Return the API's status of one container."""
    status: dict[str, Any] = {
        "name": item.name,
        "state": item.state,
        "lastState": item.last_state,
        "ready": item.ready,
        "restartCount": item.restarts,
        "image": item.spec["image"],
        "imageID": image_id(item.spec["image"]) if item.container_id else "",
        "started": item.running,
    }
    if item.container_id:
        status |= {"containerID": item.container_id, **_container_resources(item), "user": _user()}
    mounts = [_mount_status(mount) for mount in item.spec.get("volumeMounts") or []]
    return {**status, "volumeMounts": mounts} if mounts else status


def _container_resources(item: ContainerState) -> Object:
    requests = _requests(item)
    allocated = {"allocatedResources": requests} if requests else {}
    resources = {key: value for key, value in (item.spec.get("resources") or {}).items() if value}
    return {**allocated, "resources": resources}


def _user() -> Object:
    return {"linux": {"uid": os.getuid(), "gid": os.getgid(), "supplementalGroups": os.getgroups()}}


def image_id(image: str) -> str:
    """Return a stable id for an image that exists only as a name."""
    return "sha256:" + hashlib.sha256(image.encode()).hexdigest()


def _mount_status(mount: Object) -> Object:
    read_only = {"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {}
    return {"name": mount["name"], "mountPath": mount["mountPath"], **read_only}


def terminated(
    exit_code: int, reason: str, started: datetime, ended: datetime, container_id: str, message: str
) -> Object:
    """Return the state of a container that has ended."""
    text = {"message": message} if message else {}
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason,
            **text,
            "startedAt": rfc3339(started),
            "finishedAt": rfc3339(ended),
            "containerID": container_id,
        }
    }
