"""The Job of a stage: one pod, no API access, the restricted security profile, retried by Kubernetes itself."""

import json
from collections.abc import Sequence
from typing import Any

from ..api import labels
from ..api.base import digest_of
from ..api.errors import TERMINAL_EXIT_CODE
from ..api.log_lines import FORMAT_VARIABLE
from ..api.resource import Metadata
from ..api.spec import DeploymentSpec, TargetSpec
from ..api.stages import (
    REQUEST_VARIABLE,
    TIME_LIMIT_VARIABLE,
    RemoveRecipe,
    StageName,
    StageRequest,
    recipe_digest,
)
from ..api.tracing import ENDPOINT_VARIABLE, PARENT_VARIABLE, traceparent
from . import board_pods, signing
from .board_pods import Attachment
from .pods import CONTAINER
from .settings import FILE_ROOTS_VARIABLE, NODE_VARIABLE, SCRATCH, Settings, StageVolume
from .steps import Step

NAME_LIMIT = 63
"""Job names become label values of their pods."""
DIGEST_DIGITS = 12
"""Digits of the recipe digest in a Job's name."""
REMOVAL_LOGS_SECONDS = 600
"""How long a finished removal Job and its logs can still be looked at; the deployment itself is gone by then."""


def job_name(deployment: str, stage: StageName, recipe: str) -> str:
    """Name of the Job of a recipe: the same after every restart, and no other deployment's."""
    short = deployment.replace(".", "-")[: NAME_LIMIT - len(stage) - DIGEST_DIGITS - 2].rstrip("-")
    digest = recipe if short == deployment else digest_of([deployment, recipe])
    return f"{short}-{stage}-{digest.removeprefix('sha256:')[:DIGEST_DIGITS]}"


def job_manifest(
    step: Step,
    metadata: Metadata,
    spec: DeploymentSpec,
    settings: Settings,
    attempt: str,
    attachments: Sequence[Attachment] = (),
) -> dict[str, Any]:
    """The Job that runs a step; `attachments` are the boards that a benchmark may have to reach from its node."""
    marks = _labels(step, metadata)
    template = {
        "metadata": _pod_metadata(marks, settings),
        "spec": _pod_spec(step, metadata, spec, settings, attachments),
    }
    template_digest = digest_of(template)
    if settings.tracing:
        # after the digest: a Job that another generation made does the same work
        parent = traceparent(metadata.uid, metadata.generation, step.digest)
        template["spec"]["containers"][0]["env"].append({"name": PARENT_VARIABLE, "value": parent})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(metadata.name, step.recipe.stage, step.digest),
            "namespace": metadata.namespace,
            "labels": marks,
            "annotations": {
                labels.RECIPE_DIGEST: step.digest,
                labels.TEMPLATE_DIGEST: template_digest,
                labels.ATTEMPT: attempt,
            },
            "ownerReferences": [_owner(metadata)],
        },
        "spec": {
            "backoffLimit": settings.backoff_limit,
            "podFailurePolicy": _POD_FAILURE_POLICY,
            "template": template,
        },
    }


def removal_job_manifest(
    recipe: RemoveRecipe, metadata: Metadata, spec: DeploymentSpec, settings: Settings
) -> dict[str, Any]:
    """The Job that removes a deployment's artifacts. It has no owner, because it has to outlive a foreground deletion.

    Bounded in every way: it ends after its deadline, wherever it hangs, and is gone a while after that.
    """
    step = Step("remove", recipe, recipe_digest(recipe), None, None)
    manifest = job_manifest(step, metadata, spec, settings, "")
    return outliving(manifest, removal_job_name(metadata), metadata, settings.deadline("remove"))


def outliving(manifest: dict[str, Any], name: str, metadata: Metadata, deadline: int) -> dict[str, Any]:
    """A Job of another name that outlives its deployment: without an owner, bounded by a deadline in seconds."""
    marks = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
    annotations = {**marks["annotations"], labels.REMOVES_FOR: metadata.name}
    bounds = {"activeDeadlineSeconds": deadline, "ttlSecondsAfterFinished": REMOVAL_LOGS_SECONDS}
    return {
        **manifest,
        "metadata": {**marks, "name": name, "annotations": annotations},
        "spec": {**manifest["spec"], **bounds},
    }


def removal_job_name(metadata: Metadata) -> str:
    """Name of the removal Job of this very deployment, whatever there is to remove."""
    return job_name(metadata.name, "remove", digest_of(metadata.uid))


def template_digest(manifest: dict[str, Any]) -> str:
    """Digest of the pod template that a manifest was made with."""
    return str(manifest["metadata"]["annotations"][labels.TEMPLATE_DIGEST])


_NODE_NAME = [{"name": NODE_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]
"""A figure says where it was taken, a vehicle which one it is; the rest need not know."""
_TOLD_THEIR_NODE: tuple[StageName, ...] = ("benchmark", "prefetch", "activate", "deactivate")

_POD_FAILURE_POLICY: dict[str, Any] = {
    "rules": [
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [TERMINAL_EXIT_CODE]},
        },
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}
"""A terminal error ends the Job at once; a drained node costs no attempt."""


def _labels(step: Step, metadata: Metadata) -> dict[str, str]:
    marks = {
        labels.MANAGED_BY: labels.MANAGER,
        labels.DEPLOYMENT: metadata.name[:NAME_LIMIT].rstrip("-."),
        labels.STAGE: step.recipe.stage,
        labels.RECIPE: step.digest.removeprefix("sha256:")[:16],
    }
    return marks | ({labels.TARGET: step.target.name} if step.target else {})


def _pod_metadata(marks: dict[str, str], settings: Settings) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": {**settings.pod_labels, **marks}}
    return metadata | ({"annotations": settings.pod_annotations} if settings.pod_annotations else {})


def _owner(metadata: Metadata) -> dict[str, Any]:
    return {
        "apiVersion": labels.API_VERSION,
        "kind": labels.KIND,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _pod_spec(
    step: Step, metadata: Metadata, spec: DeploymentSpec, settings: Settings, attachments: Sequence[Attachment]
) -> dict[str, Any]:
    stage = step.recipe.stage
    reached = attachments if stage == "benchmark" else ()
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        # Counts from the pod's start: waiting for a board or a node must not use it up, as the Job's own would.
        "activeDeadlineSeconds": settings.deadline(stage),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(settings),
        "containers": [_container(step, metadata, spec, settings, reached)],
        "volumes": [
            _scratch_volume(settings),
            *({"name": v.name, **v.source} for v in settings.volumes),
            *signing.volumes(stage, settings.signing),
            *board_pods.volumes(reached),
        ],
    }
    optional = {
        "nodeSelector": settings.node_selectors.get(stage, {}) | _board_selector(step),
        "tolerations": [each.to_wire() for each in settings.tolerations],
        "affinity": settings.affinity,
        "priorityClassName": _priority_class(step, spec, settings),
        "serviceAccountName": settings.service_account,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    return pod | {field: value for field, value in optional.items() if value}


def _pod_security(settings: Settings) -> dict[str, Any]:
    user, group = settings.run_as.user, settings.run_as.group
    chosen = {"runAsUser": user, "runAsGroup": group, "fsGroup": group}
    return {
        "runAsNonRoot": True,
        **{field: number for field, number in chosen.items() if number is not None},
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(
    step: Step, metadata: Metadata, spec: DeploymentSpec, settings: Settings, reached: Sequence[Attachment]
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": step.recipe.image,
        "imagePullPolicy": settings.pull_policy(step.recipe.image),
        "command": settings.command,
        "env": [*_environment(step, metadata, spec, settings), *board_pods.environment(reached)],
        "resources": _resources(step, settings),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "scratch", "mountPath": SCRATCH},
            *map(_mount, settings.volumes),
            *signing.mounts(step.recipe.stage, settings.signing),
            *board_pods.mounts(reached, NODE_VARIABLE),
        ],
    }
    secrets = _secrets(step, spec, settings)
    if secrets:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in secrets]
    return container


def _environment(step: Step, metadata: Metadata, spec: DeploymentSpec, settings: Settings) -> list[dict[str, Any]]:
    request = StageRequest(
        deployment=f"{metadata.namespace}/{metadata.name}",
        target=step.target.name if step.target else None,
        store=spec.artifacts.uri,
        recipe=step.recipe,
    )
    # Kubernetes expands $(NAME) in values; JSON can spell the dollar sign without one.
    text = json.dumps(request.to_wire(), ensure_ascii=False).replace("$", "\\u0024")
    return [
        {"name": REQUEST_VARIABLE, "value": text},
        {"name": FILE_ROOTS_VARIABLE, "value": ":".join(settings.file_roots)},
        {"name": TIME_LIMIT_VARIABLE, "value": str(settings.deadline(step.recipe.stage))},
        {"name": "HOME", "value": SCRATCH},
        *(_NODE_NAME if step.recipe.stage in _TOLD_THEIR_NODE else []),
        *({"name": name, "value": value} for name, value in _observability(settings).items()),
        *signing.environment(step.recipe.stage, settings.signing),
        *({"name": name, "value": value} for name, value in settings.env.items()),
    ]


def _observability(settings: Settings) -> dict[str, str]:
    lines = {FORMAT_VARIABLE: settings.log_format} if settings.log_format != "plain" else {}
    return lines | ({ENDPOINT_VARIABLE: settings.tracing.endpoint} if settings.tracing else {})


def _secrets(step: Step, spec: DeploymentSpec, settings: Settings) -> list[str]:
    """Every stage may reach the store; only resolve fetches the model and the dataset."""
    model_secret = spec.model.secret_ref.name if spec.model.secret_ref else None
    names = [settings.store_secret, model_secret if step.recipe.stage == "resolve" else None]
    return [name for name in names if name]


def _resources(step: Step, settings: Settings) -> dict[str, dict[str, str]]:
    wanted = settings.resources.get(step.recipe.stage)
    resources = wanted.to_wire() if wanted else {"requests": {}, "limits": {}}
    if has_exclusive_board(step):
        assert step.target is not None
        resources["limits"] = {**resources["limits"], labels.board_resource(step.target.board): "1"}
    return {kind: amounts for kind, amounts in resources.items() if amounts}


def has_exclusive_board(step: Step) -> bool:
    """Whether the step needs a board for itself: two benchmarks on one would measure each other."""
    return step.recipe.stage == "benchmark"


def _priority_class(step: Step, spec: DeploymentSpec, settings: Settings) -> str | None:
    """A benchmark's own, which orders the line for a board; every other stage has the operator's."""
    own = spec.benchmark.priority_class_name if step.recipe.stage == "benchmark" else None
    return own or settings.priority_class


def _board_selector(step: Step) -> dict[str, str]:
    target: TargetSpec | None = step.target if step.recipe.stage == "benchmark" else None
    return {labels.BOARD: target.board, **target.node_selector} if target else {}


def _mount(volume: StageVolume) -> dict[str, Any]:
    return {"name": volume.name, "mountPath": volume.mount_path, "readOnly": volume.read_only}


def _scratch_volume(settings: Settings) -> dict[str, Any]:
    limit = settings.scratch_limit
    return {"name": "scratch", "emptyDir": {"sizeLimit": limit} if limit else {}}
