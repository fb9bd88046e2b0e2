"""Protobuf bodies: `kubectl create namespace` and its like send nothing else. Reads the kinds that it creates.

Field numbers are those of `k8s.io/api` and `apimachinery` generated.proto. A field that is not written down here
is refused unless it is empty: nothing is dropped silently.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from dms_operator.devcluster.errors import ApiError

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types, https://protobuf.dev/programming-guides/encoding
_IGNORED = "-"  # a status, which a create does not carry

# message: "number name type", the type a scalar, a map or a message; * repeats it
_MESSAGES = {
    "ObjectMeta": "1 name string, 2 generateName string, 3 namespace string, 11 labels map, 12 annotations map, "
    "13 ownerReferences OwnerReference*, 14 finalizers string*",
    "OwnerReference": "1 kind string, 3 name string, 4 uid string, 5 apiVersion string, 6 controller bool, "
    "7 blockOwnerDeletion bool",
    "Namespace": "1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status -",
    "NamespaceSpec": "1 finalizers string*",
    "ConfigMap": "1 metadata ObjectMeta, 2 data map, 3 binaryData bytesmap, 4 immutable bool",
    "Secret": "1 metadata ObjectMeta, 2 data bytesmap, 3 type string, 4 stringData map, 5 immutable bool",
    "ServiceAccount": "1 metadata ObjectMeta, 4 automountServiceAccountToken bool",
    "Job": "1 metadata ObjectMeta, 2 spec JobSpec, 3 status -",
    "JobSpec": "1 parallelism int, 2 completions int, 3 activeDeadlineSeconds int, 4 selector LabelSelector, "
    "5 manualSelector bool, 6 template PodTemplateSpec, 7 backoffLimit int, 8 ttlSecondsAfterFinished int, "
    "9 completionMode string, 10 suspend bool",
    "Deployment": "1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status -",
    "DeploymentSpec": "1 replicas int, 2 selector LabelSelector, 3 template PodTemplateSpec, "
    "4 strategy DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int, 7 paused bool, "
    "9 progressDeadlineSeconds int",
    "DeploymentStrategy": "1 type string",
    "LabelSelector": "1 matchLabels map",
    "PodTemplateSpec": "1 metadata ObjectMeta, 2 spec PodSpec",
    "PodSpec": "2 containers Container*, 3 restartPolicy string, 4 terminationGracePeriodSeconds int, "
    "5 activeDeadlineSeconds int, 6 dnsPolicy string, 7 nodeSelector map, 8 serviceAccountName string, "
    "9 serviceAccount string, 10 nodeName string, 19 schedulerName string",
    "Container": "1 name string, 2 image string, 3 command string*, 4 args string*, 5 workingDir string, "
    "6 ports ContainerPort*, 7 env EnvVar*, 8 resources ResourceRequirements, 13 terminationMessagePath string, "
    "14 imagePullPolicy string",
    "ContainerPort": "1 name string, 3 containerPort int, 4 protocol string",
    "EnvVar": "1 name string, 2 value string",
    "ResourceRequirements": "",
    "Eviction": "1 metadata ObjectMeta, 2 deleteOptions DeleteOptions",
    "DeleteOptions": "1 gracePeriodSeconds int, 3 orphanDependents bool, 4 propagationPolicy string, 5 dryRun string*",
    "SelfSubjectAccessReview": "1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec, 3 status -",
    "SelfSubjectAccessReviewSpec": "1 resourceAttributes ResourceAttributes, "
    "2 nonResourceAttributes NonResourceAttributes",
    "ResourceAttributes": "1 namespace string, 2 verb string, 3 group string, 4 version string, 5 resource string, "
    "6 subresource string, 7 name string",
    "NonResourceAttributes": "1 path string, 2 verb string",
    "SelfSubjectRulesReview": "1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec, 3 status -",
    "SelfSubjectRulesReviewSpec": "1 namespace string",
    "SelfSubjectReview": "1 metadata ObjectMeta, 2 status -",
}
_ROOTS = {
    *("Namespace", "ConfigMap", "Secret", "ServiceAccount", "Job", "Deployment", "Eviction", "DeleteOptions"),
    *("SelfSubjectAccessReview", "SelfSubjectRulesReview", "SelfSubjectReview"),
}

Fields = dict[int, tuple[str, str]]


def _table(message: str) -> Fields:
    rows = (row.split() for row in _MESSAGES[message].split(",") if row.strip())
    return {int(number): (name, kind) for number, name, kind in rows}


_FIELDS = {message: _table(message) for message in _MESSAGES}


def decode(body: bytes) -> dict[str, Any]:
    """The object in a protobuf envelope; raises ApiError 415 for what is not written down above."""
    if not body.startswith(_MAGIC):
        raise _refusal("it does not begin as Kubernetes protobuf does")
    envelope = dict(_wire(body[len(_MAGIC) :]))
    type_meta = {number: value.decode() for number, value in _wire(envelope.get(1, b""))}
    kind = type_meta.get(2, "")
    if kind not in _ROOTS:
        raise _refusal(f"the kind {kind} is not known in protobuf")
    return {"apiVersion": type_meta.get(1, ""), "kind": kind, **_message(kind, envelope.get(2, b""))}


def _refusal(reason: str) -> ApiError:
    message = f"this server reads JSON and YAML, and little protobuf: {reason}; apply a manifest instead"
    return ApiError(415, "UnsupportedMediaType", message)


def _message(message: str, body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _wire(body):
        name, kind = _FIELDS[message].get(number, ("", ""))
        if not name and value:
            raise _refusal(f"field {number} of {message} is not known")
        if name and kind != _IGNORED:
            _add(found, name, kind, value)
    return found


def _add(found: dict[str, Any], name: str, kind: str, value: Any) -> None:
    if kind in ("map", "bytesmap"):
        pair = dict(_wire(value))
        content = pair.get(2, b"")
        text = base64.b64encode(content) if kind == "bytesmap" else content
        found.setdefault(name, {})[pair.get(1, b"").decode()] = text.decode()
    elif kind.endswith("*"):
        found.setdefault(name, []).append(_single(kind[:-1], value))
    elif (single := _single(kind, value)) != "":
        found[name] = single


def _single(kind: str, value: Any) -> Any:
    if kind == "string":
        return value.decode()
    if kind == "bool":
        return bool(value)
    return value if kind == "int" else _message(kind, value)


def _wire(body: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values of a message."""
    position = 0
    while position < len(body):
        tag, position = _varint(body, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value: Any
            value, position = _varint(body, position)
        elif wire_type == _BYTES:
            size, position = _varint(body, position)
            value, position = body[position : position + size], position + size
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
            value, position = body[position : position + size], position + size
        else:
            raise _refusal("a broken message")
        yield tag >> 3, value


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(body):
        byte = body[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
    raise _refusal("a broken message")
