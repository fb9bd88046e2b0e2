"""The built-in resources, as the discovery of Kubernetes 1.36 lists them (rows are arguments of ResourceInfo)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]


def _row(group: str, version: str, plural: str, kind: str, short: str = "", **more: Any) -> Row:
    names = tuple(short.split()) if short else ()
    return {"group": group, "version": version, "plural": plural, "kind": kind, "short_names": names, **more}


_STATUS = ("status",)
_ALL = ("all",)
_RBAC = "rbac.authorization.k8s.io"
_NO_COLLECTION = ("create", "delete", "get", "list", "patch", "update", "watch")
_REVIEW: Row = {"namespaced": False, "verbs": ("create",)}
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_REGARDING_FIELDS = tuple(name.replace("involvedObject", "regarding") for name in _EVENT_FIELDS)
_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)

CORE: tuple[Row, ...] = (
    _row("", "v1", "configmaps", "ConfigMap", "cm"),
    _row("", "v1", "endpoints", "Endpoints", "ep", singular="endpoints", list_kind="EndpointsList"),
    _row("", "v1", "events", "Event", "ev", create_on_update=True, selectable=_EVENT_FIELDS),
    _row(
        "",
        "v1",
        "namespaces",
        "Namespace",
        "ns",
        namespaced=False,
        subresources=("finalize", "status"),
        verbs=_NO_COLLECTION,
        selectable=("status.phase",),
    ),
    _row(
        "",
        "v1",
        "nodes",
        "Node",
        "no",
        namespaced=False,
        subresources=_STATUS,
        selectable=("spec.unschedulable",),
    ),
    _row(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        "pvc",
        subresources=_STATUS,
        returns_deleted=True,
    ),
    _row(
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        "pv",
        namespaced=False,
        subresources=_STATUS,
        returns_deleted=True,
    ),
    _row(
        "",
        "v1",
        "pods",
        "Pod",
        "po",
        categories=_ALL,
        subresources=("binding", "eviction", "log", "status"),
        generation=True,
        returns_deleted=True,
        selectable=_POD_FIELDS,
    ),
    _row("", "v1", "secrets", "Secret", selectable=("type",)),
    _row("", "v1", "serviceaccounts", "ServiceAccount", "sa", returns_deleted=True),
    _row("", "v1", "services", "Service", "svc", categories=_ALL, subresources=_STATUS, returns_deleted=True),
)

GROUPS: tuple[Row, ...] = (
    _row(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        "deploy",
        categories=_ALL,
        subresources=("scale", "status"),
        generation=True,
    ),
    _row(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        "rs",
        categories=_ALL,
        subresources=("scale", "status"),
        generation=True,
    ),
    _row(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        "ev",
        storage="events",
        create_on_update=True,
        selectable=_REGARDING_FIELDS,
    ),
    _row(
        "batch",
        "v1",
        "jobs",
        "Job",
        categories=_ALL,
        subresources=_STATUS,
        generation=True,
        orphans_by_default=True,
        selectable=("status.successful",),
    ),
    _row("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", **_REVIEW),
    _row("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", **_REVIEW),
    _row("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", **_REVIEW),
    _row("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", **_REVIEW),
    _row("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", generation=True),
    _row(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "pdb",
        subresources=_STATUS,
        generation=True,
    ),
    _row(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _row(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    _row(_RBAC, "v1", "rolebindings", "RoleBinding"),
    _row(_RBAC, "v1", "roles", "Role"),
    _row(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "crd crds",
        namespaced=False,
        categories=("api-extensions",),
        subresources=_STATUS,
        generation=True,
        unconditional_update=False,
    ),
    _row("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", namespaced=False, generation=True),
    _row("coordination.k8s.io", "v1", "leases", "Lease", unconditional_update=False, create_on_update=True),
)

BUILTINS = CORE + GROUPS
