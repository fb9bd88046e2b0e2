"""Namespaces: their contents go before they do, and each has a default service account and the cluster's CA."""

from __future__ import annotations

from collections.abc import Iterable

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.errors import ApiError

from .loop import Controller, Key
from .meta import Object, is_deleted, name

FINALIZER = "kubernetes"


class NamespaceController(Controller):
    """Empties namespaces that are being deleted. Keys: (namespace,)."""

    watched = None

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A namespace, or that of an object that is gone."""
        if resource == "namespaces":
            return [(name(obj),)] if change != "DELETED" and is_deleted(obj) else []
        home = obj["metadata"].get("namespace")
        return [(home,)] if change == "DELETED" and home else []

    def reconcile(self, key: Key) -> float | None:
        """Delete what is inside; when nothing is left, drop the finalizer."""
        namespace = self.client.get("namespaces", None, key[0])
        if namespace is None or not is_deleted(namespace):
            return None
        left = [(resource, obj) for resource in self._resources() for obj in self.client.list(resource, key[0])]
        for resource, obj in left:
            if not is_deleted(obj):
                self._delete(resource, obj)
        if any(self.client.list(resource, key[0]) for resource in self._resources()):
            return None
        kept = [item for item in namespace["spec"].get("finalizers", []) if item != FINALIZER]
        self.client.patch("namespaces", None, key[0], {"spec": {"finalizers": kept}}, subresource="finalize")
        return None

    def _resources(self) -> list[str]:
        served = {info.storage for info in self.client.registry.resources if info.namespaced}
        return sorted(served)

    def _delete(self, resource: str, obj: Object) -> None:
        try:
            self.client.delete(resource, obj["metadata"]["namespace"], name(obj), propagation="Background")
        except ApiError as refusal:
            if refusal.code != 404:
                raise


class NamespaceFurnisher(Controller):
    """Puts the `default` service account and `kube-root-ca.crt` into every namespace. Keys: (namespace,)."""

    watched = ("namespaces", "serviceaccounts", "configmaps")

    def __init__(self, client: LocalClient, certificate_authority: str) -> None:
        super().__init__(client)
        self._furniture: dict[str, Object] = {
            "serviceaccounts": {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default"},
            },
            "configmaps": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "kube-root-ca.crt",
                    "annotations": {
                        "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
                        "kube-apiserver when using internal endpoints such as the internal service IP or "
                        "kubernetes.default.svc. "
                        "No other usage is guaranteed across distributions of Kubernetes clusters."
                    },
                },
                "data": {"ca.crt": certificate_authority},
            },
        }

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A new namespace, or one that lost something."""
        if resource == "namespaces":
            return [(name(obj),)] if change == "ADDED" else []
        return [(obj["metadata"]["namespace"],)] if change == "DELETED" else []

    def reconcile(self, key: Key) -> float | None:
        """Create what is missing."""
        namespace = self.client.get("namespaces", None, key[0])
        if namespace is None or is_deleted(namespace):
            return None
        for resource, wanted in self._furniture.items():
            if self.client.get(resource, key[0], name(wanted)) is None:
                self.client.create(resource, key[0], wanted)
        return None
