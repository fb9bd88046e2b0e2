"""The Node object of a simulated node: what it is made of, and its heartbeat."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timedelta
from typing import Any

import psutil

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.config import NodeConfig
from dms_operator.devcluster.controllers.meta import Object, rfc3339, rfc3339_micro
from dms_operator.devcluster.controllers.node import GRACE_SECONDS
from dms_operator.devcluster.faults.happenings import Silence

LEASE_NAMESPACE = "kube-node-lease"
# kubelet's defaults: nodeLeaseDurationSeconds, maxPods
_LEASE_SECONDS = 40
_MAX_PODS = "110"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_KUBELET_VERSION = "v1.36.0"


def own_capacity(config: NodeConfig) -> dict[str, str]:
    """Return this machine's capacity with what the configuration says over it."""
    machine = {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{psutil.virtual_memory().total // 1024}Ki",
        "pods": _MAX_PODS,
    }
    return {**machine, **config.capacity}


def new_node(config: NodeConfig) -> dict[str, Any]:
    """Return the Node that a kubelet registers."""
    facts = {
        "kubernetes.io/arch": architecture(),
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": platform.system().lower(),
    }
    taints = [taint.model_dump(exclude_defaults=False) for taint in config.taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.name, "labels": {**facts, **config.labels}},
        "spec": {"taints": [{key: value for key, value in taint.items() if value} for taint in taints]}
        if taints
        else {},
    }


def architecture() -> str:
    """Return this machine's architecture as Kubernetes names it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def node_status(config: NodeConfig, present: Object, now: datetime) -> dict[str, Any]:
    """Return the status that the kubelet wants: its own capacity, and the extended resources that others put there."""
    known = present.get("capacity") or {}
    own = own_capacity(config)
    capacity = {**{key: value for key, value in known.items() if "/" in key}, **own}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": _conditions(present, now),
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": config.name},
        ],
        "nodeInfo": _node_info(),
    }


def _conditions(present: Object, now: datetime) -> list[dict[str, Any]]:
    """Return the kubelet's own conditions, and after them those that others have set."""
    healthy = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
    }
    old = {item["type"]: item for item in present.get("conditions") or []}
    moment = rfc3339(now)
    result = []
    for kind, (status, reason, message) in healthy.items():
        kept = old.get(kind) if old.get(kind, {}).get("status") == status else None
        fresh = {"lastHeartbeatTime": moment, "lastTransitionTime": moment}
        times = {key: kept[key] for key in fresh} if kept else fresh
        result.append({"type": kind, "status": status, **times, "reason": reason, "message": message})
    return [*result, *(item for kind, item in old.items() if kind not in healthy)]


def _node_info() -> dict[str, str]:
    boot = str(int(psutil.boot_time()))
    return {
        "machineID": platform.node(),
        "systemUUID": platform.node(),
        "bootID": boot,
        "kernelVersion": platform.release(),
        "osImage": platform.platform(terse=True),
        "containerRuntimeVersion": f"process://{platform.python_version()}",
        "kubeletVersion": _KUBELET_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": platform.system().lower(),
        "architecture": architecture(),
    }


def _failing(condition: Object, moment: str) -> Object:
    """The Ready condition of a kubelet whose container runtime is gone; the other conditions as they are."""
    if condition["type"] != "Ready" or condition["status"] == "False":
        return condition
    words = {"reason": "KubeletNotReady", "message": "container runtime is down"}
    return {**condition, "status": "False", "lastTransitionTime": moment, **words}


class NodeReporter:
    """Keeps one Node object and its lease."""

    def __init__(self, config: NodeConfig, client: LocalClient) -> None:
        self._config = config
        self._client = client

    def report(self, now: datetime) -> None:
        """Register the node if it is missing; bring its status to what it should be."""
        name = self._config.name
        node = self._client.get("nodes", None, name) or self._client.create("nodes", None, new_node(self._config))
        present = node.get("status") or {}
        wanted = node_status(self._config, present, now)
        if any(present.get(key) != value for key, value in wanted.items()):
            self._client.update_status("nodes", {**node, "status": {**present, **wanted}})

    def fall_silent(self, now: datetime, how: Silence) -> None:
        """Leave the API: `unreachable` as if long ago, `not-ready` with these last words, or without a word."""
        name = self._config.name
        if how == "unreachable":
            self.renew(now - timedelta(seconds=GRACE_SECONDS))
        elif how == "not-ready" and (node := self._client.get("nodes", None, name)) is not None:
            status = node["status"]
            conditions = [_failing(item, rfc3339(now)) for item in status.get("conditions") or []]
            self._client.update_status("nodes", {**node, "status": {**status, "conditions": conditions}})

    def renew(self, now: datetime) -> None:
        """Renew the node's lease."""
        name = self._config.name
        moment = {"renewTime": rfc3339_micro(now)}
        if self._client.get("leases", LEASE_NAMESPACE, name):
            self._client.patch("leases", LEASE_NAMESPACE, name, {"spec": moment})
            return
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, **moment}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name},
            "spec": spec,
        }
        self._client.create("leases", LEASE_NAMESPACE, lease)
