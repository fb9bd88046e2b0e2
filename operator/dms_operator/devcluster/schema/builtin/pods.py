"""Pods: spec and status."""

from __future__ import annotations

from dms_operator.devcluster.schema.builtin.meta import LABEL_SELECTOR
from dms_operator.devcluster.schema.builtin.words import (
    ANY,
    BOOL,
    INT32,
    INT64,
    PROTOCOL,
    QUANTITIES,
    QUANTITY,
    STRING,
    STRINGS,
    TIME,
    array,
    conditions,
    core,
    described,
    keyed,
    struct,
)

KEY = struct({"key": STRING, "name": STRING, "optional": BOOL}, ["key"], atomic=True)
REFERENCE = struct({"name": STRING, "optional": BOOL})
FIELD = struct({"apiVersion": STRING, "fieldPath": STRING}, ["fieldPath"], atomic=True)
RESOURCE_FIELD = struct({"containerName": STRING, "divisor": QUANTITY, "resource": STRING}, ["resource"], atomic=True)
ENVIRONMENT = core(
    "EnvVar",
    struct(
        {
            "name": STRING,
            "value": STRING,
            "valueFrom": struct(
                {
                    "configMapKeyRef": KEY,
                    "secretKeyRef": KEY,
                    "fieldRef": FIELD,
                    "resourceFieldRef": RESOURCE_FIELD,
                }
            ),
        },
        ["name"],
    ),
)
PORT = core(
    "ContainerPort",
    struct(
        {"containerPort": INT32, "hostIP": STRING, "hostPort": INT32, "name": STRING, "protocol": PROTOCOL},
        ["containerPort"],
    ),
)
MOUNT = core(
    "VolumeMount",
    struct(
        {
            "mountPath": described(STRING, "Where the volume is found inside the container."),
            "mountPropagation": STRING,
            "name": described(STRING, "The name of one of the pod's volumes."),
            "readOnly": BOOL,
            "recursiveReadOnly": STRING,
            "subPath": STRING,
            "subPathExpr": STRING,
        },
        ["name", "mountPath"],
    ),
)
RESOURCES = core(
    "ResourceRequirements",
    struct(
        {
            "claims": keyed(struct({"name": STRING, "request": STRING}, ["name"]), "name"),
            "limits": described(QUANTITIES, "The most that the container may use."),
            "requests": described(QUANTITIES, "What the scheduler reserves for the container."),
        }
    ),
)
CONTAINER = core(
    "Container",
    struct(
        {
            "args": described(array(STRING), "Arguments to the command."),
            "command": described(array(STRING), "What is run, in place of the image's entry point."),
            "env": described(keyed(ENVIRONMENT, "name"), "Environment variables."),
            "envFrom": array(struct({"configMapRef": REFERENCE, "prefix": STRING, "secretRef": REFERENCE})),
            "image": described(STRING, "The container image's name."),
            "imagePullPolicy": described(STRING, "Always, Never or IfNotPresent."),
            "lifecycle": ANY,
            "livenessProbe": ANY,
            "name": described(STRING, "Unique within the pod; a DNS label."),
            "ports": keyed(PORT, "containerPort", "protocol"),
            "readinessProbe": ANY,
            "resizePolicy": array(ANY),
            "resources": described(RESOURCES, "Compute resources that the container needs."),
            "restartPolicy": STRING,
            "restartPolicyRules": array(ANY),
            "securityContext": ANY,
            "startupProbe": ANY,
            "stdin": BOOL,
            "stdinOnce": BOOL,
            "terminationMessagePath": described(STRING, "The file whose content becomes the termination message."),
            "terminationMessagePolicy": STRING,
            "tty": BOOL,
            "volumeDevices": keyed(ANY, "devicePath"),
            "volumeMounts": described(keyed(MOUNT, "mountPath"), "Volumes as the container sees them."),
            "workingDir": STRING,
        },
        ["name"],
    ),
)
ITEM = struct({"key": STRING, "mode": INT32, "path": STRING}, ["key", "path"])
VOLUME = core(
    "Volume",
    struct(
        {
            "name": STRING,
            "configMap": struct({"name": STRING, "defaultMode": INT32, "items": array(ITEM), "optional": BOOL}),
            "csi": ANY,
            "downwardAPI": ANY,
            "emptyDir": struct({"medium": STRING, "sizeLimit": QUANTITY}),
            "ephemeral": ANY,
            "hostPath": struct({"path": STRING, "type": STRING}, ["path"]),
            "image": ANY,
            "nfs": ANY,
            "persistentVolumeClaim": struct({"claimName": STRING, "readOnly": BOOL}, ["claimName"]),
            "projected": struct({"defaultMode": INT32, "sources": array(ANY)}),
            "secret": struct({"secretName": STRING, "defaultMode": INT32, "items": array(ITEM), "optional": BOOL}),
        },
        ["name"],
    ),
)
TOLERATION = core(
    "Toleration",
    struct({"effect": STRING, "key": STRING, "operator": STRING, "tolerationSeconds": INT64, "value": STRING}),
)
SPREAD = core(
    "TopologySpreadConstraint",
    struct(
        {
            "labelSelector": LABEL_SELECTOR,
            "matchLabelKeys": array(STRING),
            "maxSkew": INT32,
            "minDomains": INT32,
            "nodeAffinityPolicy": STRING,
            "nodeTaintsPolicy": STRING,
            "topologyKey": STRING,
            "whenUnsatisfiable": STRING,
        },
        ["maxSkew", "topologyKey", "whenUnsatisfiable"],
    ),
)
POD_SPEC = core(
    "PodSpec",
    struct(
        {
            "activeDeadlineSeconds": described(INT64, "The pod is failed when it is active for longer."),
            "affinity": described(
                struct({"nodeAffinity": ANY, "podAffinity": ANY, "podAntiAffinity": ANY}), "Placement."
            ),
            "automountServiceAccountToken": BOOL,
            "containers": described(keyed(CONTAINER, "name"), "The containers of the pod; at least one."),
            "dnsConfig": ANY,
            "dnsPolicy": STRING,
            "enableServiceLinks": BOOL,
            "ephemeralContainers": keyed(ANY, "name"),
            "hostAliases": keyed(struct({"hostnames": array(STRING), "ip": STRING}, ["ip"]), "ip"),
            "hostIPC": BOOL,
            "hostNetwork": BOOL,
            "hostPID": BOOL,
            "hostUsers": BOOL,
            "hostname": STRING,
            "hostnameOverride": STRING,
            "imagePullSecrets": keyed(struct({"name": STRING}, atomic=True), "name"),
            "initContainers": described(keyed(CONTAINER, "name"), "Run to completion, in order, before the others."),
            "nodeName": described(STRING, "The node that runs the pod; set by the scheduler."),
            "nodeSelector": described(
                {**STRINGS, "x-kubernetes-map-type": "atomic"}, "Labels that the node must have."
            ),
            "os": struct({"name": STRING}, ["name"]),
            "overhead": QUANTITIES,
            "preemptionPolicy": STRING,
            "priority": INT32,
            "priorityClassName": STRING,
            "readinessGates": array(struct({"conditionType": STRING}, ["conditionType"])),
            "resourceClaims": keyed(ANY, "name"),
            "resources": RESOURCES,
            "restartPolicy": described(STRING, "Always, OnFailure or Never."),
            "runtimeClassName": STRING,
            "schedulerName": STRING,
            "schedulingGates": keyed(struct({"name": STRING}, ["name"]), "name"),
            "securityContext": ANY,
            "serviceAccount": STRING,
            "serviceAccountName": STRING,
            "setHostnameAsFQDN": BOOL,
            "shareProcessNamespace": BOOL,
            "subdomain": STRING,
            "terminationGracePeriodSeconds": described(INT64, "Seconds between SIGTERM and SIGKILL."),
            "tolerations": described(array(TOLERATION), "Taints that do not keep the pod away."),
            "topologySpreadConstraints": keyed(SPREAD, "topologyKey", "whenUnsatisfiable"),
            "volumes": described(keyed(VOLUME, "name"), "Volumes that the containers can mount."),
        },
        ["containers"],
    ),
)
CONTAINER_STATUS = core(
    "ContainerStatus",
    struct(
        {
            "allocatedResources": QUANTITIES,
            "allocatedResourcesStatus": array(ANY),
            "stopSignal": STRING,
            "containerID": STRING,
            "image": STRING,
            "imageID": STRING,
            "lastState": ANY,
            "name": STRING,
            "ready": BOOL,
            "resources": RESOURCES,
            "restartCount": INT32,
            "started": BOOL,
            "state": ANY,
            "user": ANY,
            "volumeMounts": keyed(MOUNT, "mountPath"),
        },
        ["name"],
    ),
)
ADDRESS = struct({"ip": STRING}, ["ip"])
POD_STATUS = core(
    "PodStatus",
    struct(
        {
            "conditions": conditions("lastProbeTime"),
            "containerStatuses": array(CONTAINER_STATUS),
            "ephemeralContainerStatuses": array(CONTAINER_STATUS),
            "hostIP": STRING,
            "hostIPs": keyed(ADDRESS, "ip"),
            "initContainerStatuses": array(CONTAINER_STATUS),
            "message": STRING,
            "nominatedNodeName": STRING,
            "observedGeneration": INT64,
            "phase": described(STRING, "Pending, Running, Succeeded, Failed or Unknown."),
            "podIP": STRING,
            "podIPs": keyed(ADDRESS, "ip"),
            "qosClass": STRING,
            "reason": STRING,
            "resize": STRING,
            "allocatedResources": QUANTITIES,
            "extendedResourceClaimStatus": ANY,
            "resources": RESOURCES,
            "resourceClaimStatuses": keyed(ANY, "name"),
            "startTime": TIME,
        }
    ),
)
