"""Pods: defaults, admission by service account and priority, what may change, graceful deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dms_operator.devcluster import names
from dms_operator.devcluster.defaults.pod_priority import admit_priority
from dms_operator.devcluster.defaults.pod_security import enforce
from dms_operator.devcluster.defaults.pod_spec import default_pod_spec, default_requests
from dms_operator.devcluster.defaults.qos import qos_class
from dms_operator.devcluster.defaults.strategy import Object, Strategy, setdefaults
from dms_operator.devcluster.schema.errors import FieldError, required

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_EVICTION_SECONDS = 300  # admission DefaultTolerationSeconds
_TOKEN_SECONDS = 3607  # admission ServiceAccount
_DONE = ("Succeeded", "Failed")
_MUTABLE_SPEC = frozenset({"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"})


class PodStrategy(Strategy):
    """A pod's spec is fixed but for its images and a few fields; it ends when its kubelet says so."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Defaults and the Pending status."""
        spec = obj.setdefault("spec", {})
        default_pod_spec(spec)
        default_requests(spec)
        setdefaults(spec, enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}

    def admit(self, obj: dict[str, Any], registry: Registry, warnings: list[str]) -> None:
        """Service account, its token volume, priority, default tolerations; Pod Security."""
        admit_priority(obj, registry)
        spec = obj["spec"]
        spec["serviceAccountName"] = spec["serviceAccount"] = spec.get("serviceAccountName") or "default"
        if spec.get("automountServiceAccountToken", True):
            _mount_token(spec)
        _tolerate(spec)
        enforce(obj, registry, warnings)

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Defaults; QoS never changes."""
        default_pod_spec(new["spec"])
        default_requests(new["spec"])
        new.setdefault("status", {}).setdefault("qosClass", old["status"].get("qosClass"))

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """Containers are there; only a few fields of the spec changed."""
        spec = new["spec"]
        if old is None:
            return [] if spec.get("containers") else [required("spec.containers")]
        if _fixed(spec) == _fixed(old["spec"]):
            return []
        fields = (
            "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
            "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
            "(allow it to be set to 1 if it was previously negative)"
        )
        message = f"Forbidden: pod updates may not change fields other than {fields}"
        return [FieldError("spec", "FieldValueForbidden", message)]

    def grace(self, obj: Object, asked: int | None) -> int:
        """What the request or the spec says; none for a pod that runs nowhere."""
        if not obj["spec"].get("nodeName") or obj["status"].get("phase") in _DONE:
            return 0
        return int(obj["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked)


def _fixed(spec: Object) -> dict[str, Any]:
    kept = {name: value for name, value in spec.items() if name not in _MUTABLE_SPEC}
    for kind in ("containers", "initContainers"):
        kept[kind] = [{**container, "image": None} for container in spec.get(kind, ())]
    return kept


def _mount_token(spec: dict[str, Any]) -> None:
    containers = [*spec.get("initContainers", ()), *spec.get("containers", ())]
    bare = [one for one in containers if not _mounts(one, TOKEN_PATH)]
    if not bare:
        return
    name = names.generate("kube-api-access-")
    for container in bare:
        mount = {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
        container["volumeMounts"] = [*container.get("volumeMounts", ()), mount]
    spec["volumes"] = [*spec.get("volumes", ()), {"name": name, "projected": _token_sources()}]


def _mounts(container: Object, path: str) -> bool:
    return any(mount.get("mountPath") == path for mount in container.get("volumeMounts", ()))


def _token_sources() -> dict[str, Any]:
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
        ],
        "defaultMode": 0o644,
    }


def _tolerate(spec: dict[str, Any]) -> None:
    tolerations = list(spec.get("tolerations", ()))
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(_tolerates(one, key) for one in tolerations):
            added = {
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": _EVICTION_SECONDS,
            }
            tolerations.append(added)
    spec["tolerations"] = tolerations


def _tolerates(toleration: Object, key: str) -> bool:
    return (toleration.get("key", key), toleration.get("effect", "NoExecute")) == (key, "NoExecute")
