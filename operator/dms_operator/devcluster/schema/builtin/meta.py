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
    array,
    described,
    keyed,
    struct,
    values,
)

OWNER_REFERENCE = struct(
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
)
MANAGED_FIELDS = struct(
    {
        "apiVersion": STRING,
        "fieldsType": STRING,
        "fieldsV1": ANY,
        "manager": STRING,
        "operation": STRING,
        "subresource": STRING,
        "time": TIME,
    }
)
OBJECT_META = struct(
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
)
LIST_META = struct(
    {"continue": STRING, "remainingItemCount": INT64, "resourceVersion": STRING, "selfLink": STRING},
)
REQUIREMENT = struct({"key": STRING, "operator": STRING, "values": array(STRING)}, ["key", "operator"])
LABEL_SELECTOR = struct({"matchLabels": STRINGS, "matchExpressions": array(REQUIREMENT)}, atomic=True)
DELETE_OPTIONS = struct(
    {
        "apiVersion": STRING,
        "kind": STRING,
        "dryRun": array(STRING),
        "gracePeriodSeconds": INT64,
        "orphanDependents": BOOL,
        "preconditions": struct({"resourceVersion": STRING, "uid": STRING}),
        "propagationPolicy": STRING,
    }
)
STATUS = struct(
    {
        "apiVersion": STRING,
        "kind": STRING,
        "metadata": LIST_META,
        "code": INT32,
        "details": ANY,
        "message": STRING,
        "reason": STRING,
        "status": STRING,
    }
)
