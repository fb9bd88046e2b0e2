"""metav1: object and list metadata, selectors, options, Status."""

from __future__ import annotations

from dms_operator.devcluster.schema.builtin.words import (
    ANY,
    BOOL,
    INT32,
    INT64,
    STRING,
    STRINGS,
    TIME,
    Node,
    array,
    described,
    keyed,
    named,
    struct,
    values,
)


def _meta(kind: str, node: Node) -> Node:
    return named(f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}", node)


OWNER_REFERENCE = _meta(
    "OwnerReference",
    struct(
        {
            "apiVersion": STRING,
            "kind": STRING,
            "name": STRING,
            "uid": STRING,
            "controller": described(BOOL, "If true, this reference points to the managing controller."),
            "blockOwnerDeletion": described(BOOL, "If true, foreground deletion of the owner waits for this object."),
        },
        ["apiVersion", "kind", "name", "uid"],
        atomic=True,
    ),
)
FIELDS = _meta("FieldsV1", ANY)
PATCH = _meta("Patch", {"type": "object"})
MANAGED_FIELDS = _meta(
    "ManagedFieldsEntry",
    struct(
        {
            "apiVersion": STRING,
            "fieldsType": STRING,
            "fieldsV1": FIELDS,
            "manager": STRING,
            "operation": STRING,
            "subresource": STRING,
            "time": TIME,
        }
    ),
)
OBJECT_META = _meta(
    "ObjectMeta",
    struct(
        {
            "annotations": described(STRINGS, "Unstructured key value map set by tools; not queryable."),
            "creationTimestamp": described(TIME, "When the object was created; set by the server."),
            "deletionGracePeriodSeconds": INT64,
            "deletionTimestamp": described(TIME, "When the object will be deleted; set by the server."),
            "finalizers": described(values(STRING, merged=True), "Must be empty before the object is removed."),
            "generateName": described(STRING, "A prefix from which the server makes a unique name."),
            "generation": described(INT64, "Counts changes of the desired state; set by the server."),
            "labels": described(STRINGS, "Keys and values to organize and select objects."),
            "managedFields": described(array(MANAGED_FIELDS), "Which manager owns which fields."),
            "name": described(STRING, "Unique within a namespace; cannot be changed."),
            "namespace": described(STRING, "The space within which the name is unique; cannot be changed."),
            "ownerReferences": described(keyed(OWNER_REFERENCE, "uid"), "Objects that this object depends on."),
            "resourceVersion": described(STRING, "The version of this object, for optimistic concurrency."),
            "selfLink": STRING,
            "uid": described(STRING, "Unique in time and space; set by the server."),
        }
    ),
)
LIST_META = _meta(
    "ListMeta",
    struct(
        {"continue": STRING, "remainingItemCount": INT64, "resourceVersion": STRING, "selfLink": STRING},
    ),
)
REQUIREMENT = _meta(
    "LabelSelectorRequirement",
    struct({"key": STRING, "operator": STRING, "values": array(STRING)}, ["key", "operator"]),
)
LABEL_SELECTOR = _meta(
    "LabelSelector", struct({"matchLabels": STRINGS, "matchExpressions": array(REQUIREMENT)}, atomic=True)
)
PRECONDITIONS = _meta("Preconditions", struct({"resourceVersion": STRING, "uid": STRING}))
DELETE_OPTIONS = _meta(
    "DeleteOptions",
    struct(
        {
            "apiVersion": STRING,
            "kind": STRING,
            "dryRun": array(STRING),
            "gracePeriodSeconds": INT64,
            "ignoreStoreReadErrorWithClusterBreakingPotential": BOOL,
            "orphanDependents": BOOL,
            "preconditions": described(PRECONDITIONS, ""),
            "propagationPolicy": STRING,
        }
    ),
)
CAUSE = _meta("StatusCause", struct({"field": STRING, "message": STRING, "reason": STRING}))
DETAILS = _meta(
    "StatusDetails",
    struct(
        {
            "causes": array(CAUSE),
            "group": STRING,
            "kind": STRING,
            "name": STRING,
            "retryAfterSeconds": INT32,
            "uid": STRING,
        }
    ),
)
STATUS = _meta(
    "Status",
    struct(
        {
            "apiVersion": STRING,
            "kind": STRING,
            "metadata": described(LIST_META, ""),
            "code": INT32,
            "details": described(DETAILS, ""),
            "message": STRING,
            "reason": STRING,
            "status": STRING,
        }
    ),
)
