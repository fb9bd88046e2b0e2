"""What the operator sees of one deployment: plain values, made from raw API objects by pure functions."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from ..api import labels
from ..api.errors import InvalidSpec
from ..api.resource import Metadata, parse_spec, parse_status
from ..api.spec import DeploymentSpec
from ..api.stages import Failure, StageName, StageResult
from ..api.status import DeploymentStatus
from . import pods as pod_facts
from .board_pods import Attachment
from .board_queue import Place
from .rollout.fleet import Fleet
from .text import parse_timestamp

LOST_RESULT_GRACE = 15.0
"""Seconds after a Job's end in which its pod's answer may still be on its way to the cache."""

NO_FLEET = Fleet()
JobState = Literal["Pending", "Running", "Complete", "Failed"]
Raw = Mapping[str, Any]


@dataclass(frozen=True)
class JobView:
    """A stage's Job together with what its pods say."""

    name: str
    recipe: str
    """Full recipe digest, `sha256:<hex>`."""
    stage: StageName
    target: str = ""
    state: JobState = "Pending"
    result: StageResult | None = None
    """Answer of a finished Job; None while it is not finished, or when its pod is gone."""
    failure: Failure | None = None
    """Why the latest pod, or the Job itself, failed."""
    failed_pods: int = 0
    waiting: str = ""
    """What the scheduler or kubelet says while no pod runs."""
    disruption: str = ""
    """Why its pod is being taken away, through no fault of its own."""
    started_at: str | None = None
    finished_at: str | None = None
    attempt: str = ""
    """Which try of the deployment made this Job (`<generation>/<retry annotation>`)."""
    template: str = ""
    """Digest of the pod template that it was made with."""
    deleting: bool = False
    created_at: str | None = None
    deleted_at: str | None = None
    place: Place | None = None
    """Place in the line for a board, of a pod that waits for one."""
    has_pod: bool = True
    node: str = ""
    """The vehicle that it works on; empty for every other stage."""
    revision: str = ""
    """The revision that it brings to, switches to on, or takes away from the vehicle."""
    round: int = 0
    """How often the revision was brought to the vehicle again before."""

    def age(self, now: datetime) -> float:
        """Seconds since the Job was made; 0 when that is not known."""
        return (now - parse_timestamp(self.created_at)).total_seconds() if self.created_at else 0.0

    def answer_grace(self, now: datetime) -> float:
        """Seconds for which the answer of a Job that has ended is still waited for.

        No time when our clock is behind the cluster's by more than that: it cannot measure it.
        """
        ago = (now - parse_timestamp(self.finished_at)).total_seconds() if self.finished_at else LOST_RESULT_GRACE
        return max(0.0, LOST_RESULT_GRACE - ago) if ago >= -LOST_RESULT_GRACE else 0.0


@dataclass(frozen=True)
class BoardCount:
    """Boards of one type in the cluster."""

    total: int = 0
    """Nodes that carry the board label."""
    allocatable: int = 0
    """Boards that pods may use, busy or not."""
    disabled: int = 0
    """Boards that were taken out of service."""
    unhealthy: tuple[str, ...] = ()
    """What the probe says of boards in service that are not healthy, node by node."""
    attachments: tuple[Attachment, ...] = ()
    """Nodes whose board hangs off them."""


@dataclass(frozen=True)
class Observed:
    """Everything that a plan is made from."""

    metadata: Metadata
    spec: DeploymentSpec | InvalidSpec
    status: DeploymentStatus
    jobs: Mapping[str, JobView] = field(default_factory=dict)
    """By full recipe digest."""
    boards: Mapping[str, BoardCount] = field(default_factory=dict)
    """By board type; a type that is absent has no board."""
    fleet: Fleet = NO_FLEET
    """Only with spec.rollout."""
    vehicle_jobs: Mapping[str, JobView] = field(default_factory=dict)
    """Jobs on vehicles, by full recipe digest; none of them is in `jobs`."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Names of Jobs that the cluster has just refused to create, and why."""


def observe(
    body: Raw,
    jobs: Iterable[tuple[Raw, Iterable[Raw]]],
    boards: Mapping[str, BoardCount],
    place: Callable[[Raw], Place | None] = lambda pod: None,
    fleet: Fleet = NO_FLEET,
) -> Observed:
    """Put together raw objects: the deployment, its Jobs (found by owner uid) each with its pods, boards, their lines.

    Jobs that lack the operator's annotations are not ours and are left out.
    """
    spec: DeploymentSpec | InvalidSpec
    try:
        spec = parse_spec(dict(body))
    except InvalidSpec as error:
        spec = error
    views = [job_view(job, job_pods, place) for job, job_pods in jobs if is_ours(job)]
    return Observed(
        Metadata.model_validate(body["metadata"]),
        spec,
        parse_status(dict(body)),
        {view.recipe: view for view in views if not view.node},
        dict(boards),
        fleet,
        {view.recipe: view for view in views if view.node},
    )


def is_ours(job: Raw) -> bool:
    """Whether an operator made this Job."""
    metadata = job["metadata"]
    known = (metadata.get("labels") or {}).get(labels.STAGE) in get_args(StageName)
    return known and labels.RECIPE_DIGEST in (metadata.get("annotations") or {})


def job_view(job: Raw, job_pods: Iterable[Raw], place: Callable[[Raw], Place | None] = lambda pod: None) -> JobView:
    """A raw Job and its raw pods as one view. Raises KeyError for a Job that no operator made."""
    metadata, status, seen = job["metadata"], job.get("status") or {}, list(job_pods)
    stage: StageName = metadata["labels"][labels.STAGE]
    annotations = metadata["annotations"]
    recipe = annotations[labels.RECIPE_DIGEST]
    state = _state(status, seen)
    return JobView(
        name=metadata["name"],
        recipe=recipe,
        stage=stage,
        target=metadata["labels"].get(labels.TARGET, ""),
        state=state,
        result=_result(seen, stage, recipe) if state == "Complete" else None,
        failure=_failure(status, seen, stage, recipe),
        failed_pods=status.get("failed") or 0,
        waiting=_waiting(seen) if state == "Pending" else "",
        disruption=pod_facts.disruption(latest) if (latest := pod_facts.newest(seen)) else "",
        started_at=status.get("startTime"),
        finished_at=_finished_at(status),
        attempt=annotations.get(labels.ATTEMPT, ""),
        template=annotations.get(labels.TEMPLATE_DIGEST, ""),
        deleting=metadata.get("deletionTimestamp") is not None,
        created_at=metadata.get("creationTimestamp"),
        deleted_at=metadata.get("deletionTimestamp"),
        has_pod=bool(seen),
        place=next(filter(None, map(place, seen)), None) if state == "Pending" else None,
        node=annotations.get(labels.NODE, ""),
        revision=annotations.get(labels.REVISION, ""),
        round=int(annotations.get(labels.ROUND, "0")),
    )


def _condition(status: Raw, kind: str) -> Raw | None:
    conditions: list[Raw] = status.get("conditions") or []
    return next((each for each in conditions if each["type"] == kind and each["status"] == "True"), None)


def _state(status: Raw, seen: list[Raw]) -> JobState:
    if _condition(status, "Complete"):
        return "Complete"
    if _condition(status, "Failed"):
        return "Failed"
    latest = pod_facts.newest(seen)
    return "Running" if latest and pod_facts.phase(latest) != "Pending" else "Pending"


def _result(seen: list[Raw], stage: StageName, recipe: str) -> StageResult | None:
    pod = pod_facts.newest([pod for pod in seen if pod_facts.phase(pod) == "Succeeded"])
    return pod_facts.read_result(pod_facts.ended(pod).text, stage, recipe) if pod else None


def _failure(status: Raw, seen: list[Raw], stage: StageName, recipe: str) -> Failure | None:
    pod = pod_facts.newest([pod for pod in seen if pod_facts.phase(pod) == "Failed"])
    if pod:
        return pod_facts.failure_of(pod, stage, recipe)
    condition = _condition(status, "Failed")
    if condition is None:
        return None
    message = f"The {stage} job failed: {condition.get('message') or condition.get('reason')}"
    return Failure(reason=condition.get("reason") or pod_facts.POD_FAILED, message=message, retryable=True)


def _waiting(seen: list[Raw]) -> str:
    latest = pod_facts.newest(seen)
    return pod_facts.waiting_for(latest) if latest else ""


def _finished_at(status: Raw) -> str | None:
    ended = _condition(status, "Complete") or _condition(status, "Failed")
    return status.get("completionTime") or (ended or {}).get("lastTransitionTime")
