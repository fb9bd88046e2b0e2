"""Jobs, Deployments and ReplicaSets."""

from __future__ import annotations

from dms_operator.devcluster.schema.builtin.meta import LABEL_SELECTOR, OBJECT_META
from dms_operator.devcluster.schema.builtin.pods import POD_SPEC
from dms_operator.devcluster.schema.builtin.words import (
    BOOL,
    INT32,
    INT64,
    INT_OR_STRING,
    PROTOCOL,
    STRING,
    TIME,
    array,
    conditions,
    core,
    described,
    keyed,
    named,
    struct,
    values,
)

TEMPLATE = described(
    core("PodTemplateSpec", struct({"metadata": described(OBJECT_META, ""), "spec": described(POD_SPEC, "")})),
    "The pods that will be created.",
)
EXIT_CODES = struct(
    {"containerName": STRING, "operator": STRING, "values": values(INT32)},
    ["operator", "values"],
)
FAILURE_RULE = named(
    "io.k8s.api.batch.v1.PodFailurePolicyRule",
    struct(
        {
            "action": described(STRING, "FailJob, FailIndex, Ignore or Count."),
            "onExitCodes": EXIT_CODES,
            "onPodConditions": array(struct({"type": STRING, "status": STRING}, ["type"])),
        },
        ["action"],
    ),
)
JOB_SPEC = named(
    "io.k8s.api.batch.v1.JobSpec",
    struct(
        {
            "activeDeadlineSeconds": described(INT64, "The job is failed when it is active for longer."),
            "backoffLimit": described(INT32, "Retries before the job is failed."),
            "backoffLimitPerIndex": INT32,
            "completionMode": STRING,
            "completions": described(INT32, "How many pods must succeed."),
            "managedBy": STRING,
            "manualSelector": BOOL,
            "maxFailedIndexes": INT32,
            "parallelism": described(INT32, "How many pods run at once."),
            "podFailurePolicy": described(
                struct({"rules": array(FAILURE_RULE)}, ["rules"]),
                "What a failed pod means, by exit code or condition.",
            ),
            "podReplacementPolicy": STRING,
            "selector": LABEL_SELECTOR,
            "successPolicy": struct({"rules": array(struct({"succeededCount": INT32, "succeededIndexes": STRING}))}),
            "suspend": described(BOOL, "While true, no pod runs."),
            "template": TEMPLATE,
            "ttlSecondsAfterFinished": described(INT32, "The job is deleted so long after it finished."),
        },
        ["template"],
    ),
)
JOB_STATUS = named(
    "io.k8s.api.batch.v1.JobStatus",
    struct(
        {
            "active": INT32,
            "completedIndexes": STRING,
            "completionTime": TIME,
            "conditions": {**conditions("lastProbeTime"), "x-kubernetes-list-type": "atomic"},
            "failed": INT32,
            "failedIndexes": STRING,
            "ready": INT32,
            "startTime": TIME,
            "succeeded": INT32,
            "terminating": INT32,
            "uncountedTerminatedPods": struct({"failed": values(STRING), "succeeded": values(STRING)}),
        }
    ),
)
ROLLING = struct({"maxSurge": INT_OR_STRING, "maxUnavailable": INT_OR_STRING})
DEPLOYMENT_SPEC = named(
    "io.k8s.api.apps.v1.DeploymentSpec",
    struct(
        {
            "minReadySeconds": INT32,
            "paused": BOOL,
            "progressDeadlineSeconds": INT32,
            "replicas": described(INT32, "How many pods are wanted."),
            "revisionHistoryLimit": INT32,
            "selector": described(LABEL_SELECTOR, "Which pods belong to this deployment."),
            "strategy": struct({"rollingUpdate": ROLLING, "type": STRING}),
            "template": TEMPLATE,
        },
        ["selector", "template"],
    ),
)
_COUNTS = ("availableReplicas", "readyReplicas", "replicas", "terminatingReplicas")
DEPLOYMENT_STATUS = named(
    "io.k8s.api.apps.v1.DeploymentStatus",
    struct(
        {
            **dict.fromkeys((*_COUNTS, "collisionCount", "unavailableReplicas", "updatedReplicas"), INT32),
            "conditions": conditions("lastUpdateTime"),
            "observedGeneration": INT64,
        }
    ),
)
REPLICA_SET_SPEC = named(
    "io.k8s.api.apps.v1.ReplicaSetSpec",
    struct(
        {"minReadySeconds": INT32, "replicas": INT32, "selector": LABEL_SELECTOR, "template": TEMPLATE},
        ["selector"],
    ),
)
REPLICA_SET_STATUS = named(
    "io.k8s.api.apps.v1.ReplicaSetStatus",
    struct(
        {
            **dict.fromkeys((*_COUNTS, "fullyLabeledReplicas"), INT32),
            "conditions": conditions(),
            "observedGeneration": INT64,
        }
    ),
)
SERVICE_PORT = core(
    "ServicePort",
    struct(
        {
            "appProtocol": STRING,
            "name": STRING,
            "nodePort": INT32,
            "port": INT32,
            "protocol": PROTOCOL,
            "targetPort": INT_OR_STRING,
        },
        ["port"],
    ),
)
SERVICE_PORTS = keyed(SERVICE_PORT, "port", "protocol")
