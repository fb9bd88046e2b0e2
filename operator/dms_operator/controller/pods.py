"""What a Job's pods tell: the stage's answer, why the latest one failed, what a waiting one waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..api.stages import Failure, StageName, StageResult

Raw = Mapping[str, Any]

CONTAINER = "stage"
"""Name of the one container of a stage pod."""

OUT_OF_MEMORY = "OutOfMemory"
INVALID_RESULT = "InvalidResult"
POD_FAILED = "PodFailed"

FACTS: dict[StageName, str] = {
    "resolve": "model",
    "quantize": "variant",
    "convert": "compiled",
    "benchmark": "benchmark",
    "remove": "removal",
    "prefetch": "vehicle",
    "activate": "vehicle",
    "deactivate": "vehicle",
}
"""The field of a StageResult that a stage fills."""
MAKES_NOTHING: tuple[StageName, ...] = ("remove", "prefetch", "activate", "deactivate")
"""Stages without an artifact."""

_UNPULLABLE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


@dataclass(frozen=True)
class Ended:
    """A pod that came to its end."""

    exit_code: int | None
    """None when the container never ran to an end, such as after an eviction."""
    reason: str
    message: str
    text: str
    """The termination message."""


def newest(pods: Sequence[Raw]) -> Raw | None:
    """The pod that was created last."""
    return max(
        pods,
        key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]),
        default=None,
    )


def phase(pod: Raw) -> str:
    """Pending, Running, Succeeded, Failed or Unknown."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def ended(pod: Raw) -> Ended:
    """How a finished pod ended."""
    status = pod.get("status") or {}
    terminated = (_container_status(pod).get("state") or {}).get("terminated") or {}
    return Ended(
        terminated.get("exitCode"),
        status.get("reason") or terminated.get("reason") or "",
        status.get("message") or "",
        terminated.get("message") or "",
    )


def read_result(text: str, stage: StageName, recipe: str) -> StageResult:
    """A termination message as the answer to a recipe; anything else is an answer that names the problem."""
    try:
        result = StageResult.model_validate_json(text)
    except ValidationError as error:
        return _invalid(stage, recipe, f"it is not a result ({_first_problem(error)})")
    if result.recipe != recipe or result.stage != stage:
        return _invalid(stage, recipe, "it belongs to another recipe")
    has_artifact = result.artifact is not None or stage in MAKES_NOTHING
    if result.failure is None and not (has_artifact and getattr(result, FACTS[stage])):
        return _invalid(stage, recipe, "it holds neither facts nor a failure")
    return result


def failure_of(pod: Raw, stage: StageName, recipe: str) -> Failure:
    """Why a pod failed: in the stage's own words if it left any, else in the kubelet's."""
    end = ended(pod)
    if end.text:
        answer = read_result(end.text, stage, recipe)
        if answer.failure is not None and answer.failure.reason != INVALID_RESULT:
            return answer.failure
    if "OOMKilled" in (end.reason, _terminated_reason(pod)):
        hint = f"raise resources.{stage}.limits.memory in the operator's settings"
        return Failure(reason=OUT_OF_MEMORY, message=f"The {stage} pod ran out of memory: {hint}", retryable=True)
    if end.reason == "DeadlineExceeded":
        hint = f"raise deadlines.{stage} in the operator's settings"
        return Failure(reason=end.reason, message=f"The {stage} pod ran too long: {hint}", retryable=True)
    how = f"exit code {end.exit_code}" if end.exit_code is not None else end.reason or "no exit code"
    detail = f": {end.message}" if end.message else ""
    return Failure(reason=POD_FAILED, message=f"The {stage} pod failed with {how}{detail}", retryable=True)


def disruption(pod: Raw) -> str:
    """Why a pod that has not ended is being taken away through no fault of its own; empty if it is not."""
    if "deletionTimestamp" not in pod["metadata"] or phase(pod) in ("Succeeded", "Failed"):
        return ""
    conditions = (pod.get("status") or {}).get("conditions") or []
    marked = any(each.get("type") == "DisruptionTarget" and each.get("status") == "True" for each in conditions)
    node = (pod.get("spec") or {}).get("nodeName") or "its node"
    return (
        f"{node} was lost or is drained: the stage starts again there when it is back, or elsewhere" if marked else ""
    )


def waiting_for(pod: Raw) -> str:
    """Why a pod does not run yet, in words that stay the same while the cause does."""
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    waiting = (_container_status(pod).get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if reason in _UNPULLABLE:
        image = _container_status(pod).get("image") or "of the stage"
        return f"image {image} cannot be pulled: kubectl describe pod tells why"
    if reason in ("", "ContainerCreating", "PodInitializing"):
        return ""
    return f"{reason}: {waiting.get('message') or ''}".removesuffix(": ")


def _container_status(pod: Raw) -> Raw:
    statuses: list[Raw] = (pod.get("status") or {}).get("containerStatuses") or []
    return next((status for status in statuses if status.get("name") == CONTAINER), {})


def _terminated_reason(pod: Raw) -> str:
    return str(((_container_status(pod).get("state") or {}).get("terminated") or {}).get("reason") or "")


def _invalid(stage: StageName, recipe: str, why: str) -> StageResult:
    message = f"The {stage} pod's answer cannot be used: {why}. Check the {stage} image in the operator's settings"
    failure = Failure(reason=INVALID_RESULT, message=message, retryable=False)
    return StageResult(stage=stage, recipe=recipe, failure=failure)


def _first_problem(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, detail["loc"]))
    return f"{place}: {detail['msg']}" if place else detail["msg"]
