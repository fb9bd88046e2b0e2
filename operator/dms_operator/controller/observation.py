"""What the operator sees of one deployment: plain values, made from raw API objects by pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..api.errors import InvalidSpec
from ..api.resource import Metadata
from ..api.spec import DeploymentSpec
from ..api.stages import Failure, StageName, StageResult
from ..api.status import DeploymentStatus

JobState = Literal["Pending", "Running", "Complete", "Failed"]


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
    started_at: str | None = None
    finished_at: str | None = None
    attempt: str = ""
    """Which try of the deployment made this Job (`<generation>/<retry annotation>`)."""
    template: str = ""
    """Digest of the pod template that it was made with."""
    deleting: bool = False


@dataclass(frozen=True)
class BoardCount:
    """Boards of one type in the cluster."""

    total: int = 0
    """Nodes that carry the board label."""
    allocatable: int = 0
    """Boards that pods may use, busy or not."""
    disabled: int = 0
    """Boards that were taken out of service."""


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


def observe(
    body: Mapping[str, Any],
    jobs: Iterable[tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]],
    boards: Mapping[str, BoardCount],
) -> Observed:
    """Put together raw objects: the deployment, its Jobs (by owner uid) each with its pods, and the boards."""
    raise NotImplementedError


def job_view(job: Mapping[str, Any], job_pods: Iterable[Mapping[str, Any]]) -> JobView:
    """A raw Job and its raw pods as one view. Raises KeyError for a Job that no operator made."""
    raise NotImplementedError
