"""Namespaces and nodes."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.defaults.strategy import Object, Strategy, setdefaults

_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)
NOT_READY = "node.kubernetes.io/not-ready"


class NamespaceStrategy(Strategy):
    """A namespace carries its name as label, and is kept by `spec.finalizers` until it is empty."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Label, finalizer and phase."""
        metadata = obj["metadata"]
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """The finalizers change only through /finalize."""
        if subresource != "finalize":
            new["spec"] = old["spec"]
        new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = old["metadata"]["name"]

    def holds_deletion(self, obj: Object) -> bool:
        """The namespace controller has not emptied it yet."""
        return bool(obj["spec"].get("finalizers"))

    def mark_deleted(self, obj: dict[str, Any], now: str) -> None:
        """Terminating."""
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}


class NodeStrategy(Strategy):
    """A node starts tainted as not ready; the first capacity is allocatable, as a real server defaults it."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Taint (admission TaintNodesByCondition) and the status fields that are always shown."""
        spec = obj.setdefault("spec", {})
        taint = {"key": NOT_READY, "effect": "NoSchedule"}
        if taint not in spec.get("taints", []):
            spec["taints"] = [*spec.get("taints", []), taint]
        self._status(obj)

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """The status fields that are always shown."""
        self._status(new)

    def _status(self, obj: dict[str, Any]) -> None:
        status = dict(obj.get("status") or {})
        if status.get("capacity") and "allocatable" not in status:
            status["allocatable"] = status["capacity"]
        setdefaults(status, daemonEndpoints={"kubeletEndpoint": {"Port": 0}}, nodeInfo=dict.fromkeys(_NODE_INFO, ""))
        obj["status"] = status
