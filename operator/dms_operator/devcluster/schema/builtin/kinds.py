"""Every built-in kind that has a schema, as (group, kind) -> the fields beside apiVersion, kind and metadata."""

from __future__ import annotations

from dms_operator.devcluster.schema.builtin import workloads
from dms_operator.devcluster.schema.builtin.pods import POD_SPEC, POD_STATUS
from dms_operator.devcluster.schema.builtin.words import (
    ANY,
    BOOL,
    BYTES,
    INT32,
    MICRO_TIME,
    QUANTITIES,
    STRING,
    STRINGS,
    TIME,
    Node,
    array,
    conditions,
    core,
    described,
    keyed,
    named,
    struct,
    values,
)

OBJECT_REFERENCE = core(
    "ObjectReference",
    struct(
        dict.fromkeys(("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"), STRING),
        atomic=True,
    ),
)
TAINT = core("Taint", struct({"effect": STRING, "key": STRING, "timeAdded": TIME, "value": STRING}, ["key", "effect"]))
NODE_SPEC = core(
    "NodeSpec",
    struct(
        {
            "configSource": ANY,
            "externalID": STRING,
            "podCIDR": STRING,
            "podCIDRs": values(STRING, merged=True),
            "providerID": STRING,
            "taints": described(array(TAINT), "What keeps pods away that do not tolerate it."),
            "unschedulable": described(BOOL, "No new pods are scheduled."),
        }
    ),
)
NODE_STATUS = core(
    "NodeStatus",
    struct(
        {
            "addresses": keyed(struct({"type": STRING, "address": STRING}, ["type", "address"]), "type"),
            "allocatable": described(QUANTITIES, "What pods can ask for."),
            "capacity": described(QUANTITIES, "All that the node has."),
            "conditions": conditions("lastHeartbeatTime"),
            "config": ANY,
            "daemonEndpoints": ANY,
            "declaredFeatures": array(STRING),
            "features": ANY,
            "images": array(struct({"names": array(STRING), "sizeBytes": {"type": "integer", "format": "int64"}})),
            "nodeInfo": ANY,
            "phase": STRING,
            "runtimeHandlers": array(ANY),
            "volumesAttached": array(ANY),
            "volumesInUse": array(STRING),
        }
    ),
)
LEASE_SPEC = named(
    "io.k8s.api.coordination.v1.LeaseSpec",
    struct(
        {
            "acquireTime": MICRO_TIME,
            "holderIdentity": STRING,
            "leaseDurationSeconds": INT32,
            "leaseTransitions": INT32,
            "preferredHolder": STRING,
            "renewTime": MICRO_TIME,
            "strategy": STRING,
        }
    ),
)
SERVICE_SPEC = core(
    "ServiceSpec",
    struct(
        {
            "clusterIP": STRING,
            "clusterIPs": array(STRING),
            "externalIPs": array(STRING),
            "externalName": STRING,
            "externalTrafficPolicy": STRING,
            "internalTrafficPolicy": STRING,
            "ipFamilies": array(STRING),
            "ipFamilyPolicy": STRING,
            "ports": workloads.SERVICE_PORTS,
            "publishNotReadyAddresses": BOOL,
            "selector": {**STRINGS, "x-kubernetes-map-type": "atomic"},
            "sessionAffinity": STRING,
            "sessionAffinityConfig": ANY,
            "type": STRING,
        }
    ),
)
EVENT: dict[str, Node] = {
    **dict.fromkeys(("action", "message", "reason", "reportingComponent", "reportingInstance", "type"), STRING),
    "count": INT32,
    "eventTime": MICRO_TIME,
    "firstTimestamp": TIME,
    "involvedObject": OBJECT_REFERENCE,
    "lastTimestamp": TIME,
    "related": OBJECT_REFERENCE,
    "series": struct({"count": INT32, "lastObservedTime": MICRO_TIME}),
    "source": struct({"component": STRING, "host": STRING}),
}
EVENT_V1: dict[str, Node] = {
    **dict.fromkeys(("action", "note", "reason", "reportingController", "reportingInstance", "type"), STRING),
    "deprecatedCount": INT32,
    "deprecatedFirstTimestamp": TIME,
    "deprecatedLastTimestamp": TIME,
    "deprecatedSource": struct({"component": STRING, "host": STRING}),
    "eventTime": MICRO_TIME,
    "regarding": OBJECT_REFERENCE,
    "related": OBJECT_REFERENCE,
    "series": struct({"count": INT32, "lastObservedTime": MICRO_TIME}, ["count", "lastObservedTime"]),
}
NAMED = keyed(struct({"name": STRING}, atomic=True), "name")
NAMESPACE_STATUS = core("NamespaceStatus", struct({"conditions": conditions(), "phase": STRING}))
DEFINITION_STATUS = struct({"acceptedNames": ANY, "conditions": conditions(), "storedVersions": array(STRING)})
DEFINITION_SPEC = struct(
    {
        "conversion": ANY,
        "group": STRING,
        "names": ANY,
        "preserveUnknownFields": BOOL,
        "scope": STRING,
        "versions": array(ANY),
    },
    ["group", "names", "scope", "versions"],
)

KINDS: dict[tuple[str, str], tuple[dict[str, Node], tuple[str, ...]]] = {
    ("", "ConfigMap"): ({"data": STRINGS, "binaryData": STRINGS, "immutable": BOOL}, ()),
    ("", "Event"): (EVENT, ("involvedObject",)),
    ("", "Namespace"): ({"spec": struct({"finalizers": array(STRING)}), "status": NAMESPACE_STATUS}, ()),
    ("", "Node"): ({"spec": NODE_SPEC, "status": NODE_STATUS}, ()),
    ("", "Pod"): ({"spec": POD_SPEC, "status": POD_STATUS}, ()),
    ("", "Secret"): (
        {
            "data": {"type": "object", "additionalProperties": BYTES},
            "immutable": BOOL,
            "stringData": STRINGS,
            "type": STRING,
        },
        (),
    ),
    ("", "Service"): ({"spec": SERVICE_SPEC, "status": ANY}, ()),
    ("", "ServiceAccount"): (
        {
            "automountServiceAccountToken": BOOL,
            "imagePullSecrets": NAMED,
            "secrets": keyed(OBJECT_REFERENCE, "name"),
        },
        (),
    ),
    ("apps", "Deployment"): ({"spec": workloads.DEPLOYMENT_SPEC, "status": workloads.DEPLOYMENT_STATUS}, ()),
    ("apps", "ReplicaSet"): (
        {"spec": workloads.REPLICA_SET_SPEC, "status": workloads.REPLICA_SET_STATUS},
        (),
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        {"spec": DEFINITION_SPEC, "status": DEFINITION_STATUS},
        ("spec",),
    ),
    ("batch", "Job"): ({"spec": workloads.JOB_SPEC, "status": workloads.JOB_STATUS}, ()),
    ("coordination.k8s.io", "Lease"): ({"spec": LEASE_SPEC}, ()),
    ("events.k8s.io", "Event"): (EVENT_V1, ("eventTime",)),
}
