"""`status` of a DMSModelDeployment: what the operator found and did. Written by the operator alone.

Results of stages stand here under their recipe's digest, so that a finished deployment needs neither its Jobs nor
their pods to be understood again after a restart.
"""

from typing import Literal

from pydantic import Field

from .base import Digest, Observed
from .capabilities import BoardType, Precision, ToolchainName
from .quantities import Duration, Memory, Power
from .reasons import Phase
from .rollout_status import Release, RolloutStatus
from .stages import (
    AccuracyFacts,
    Artifact,
    BenchmarkFacts,
    CompiledFacts,
    Delegation,
    Method,
    ModelFacts,
    Provenance,
    StageName,
    VariantFacts,
)

StageState = Literal["Pending", "Running", "Succeeded", "Failed"]
GateOutcome = Literal["Pass", "Fail", "Inconclusive"]
GateName = Literal[
    "accuracy",
    "delegation",
    "provenance",
    "accuracyOnTarget",
    "latency",
    "power",
    "memory",
    "accuracyRegression",
    "latencyRegression",
]
"""In the order in which they are held (docs/gates.md)."""
TargetState = Literal["Pending", "Converting", "Benchmarking", "Ready", "Failed"]


class Condition(Observed):
    """A condition in Kubernetes' standard form."""

    type: str = Field(max_length=64)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(max_length=128)
    message: str = Field(default="", max_length=4096)
    last_transition_time: str = Field(max_length=40)
    observed_generation: int | None = None


class StageStatus(Observed):
    """One stage of the present generation: which Job runs it, and how it went."""

    name: str = Field(max_length=100)
    """Stage and what it is about, such as `quantize int8` or `convert cockpit int8`."""
    stage: StageName
    recipe: Digest
    """Digest of everything that decides the stage's output."""
    job: str = Field(default="", max_length=63)
    """Name of its Job; empty when an earlier result was used."""
    state: StageState
    reason: str = Field(default="", max_length=128)
    message: str = Field(default="", max_length=2048)
    attempts: int = 0
    """Failed pods so far."""
    started_at: str | None = Field(default=None, max_length=40)
    finished_at: str | None = Field(default=None, max_length=40)


class ResolvedModel(ModelFacts):
    """The model as resolve found it."""

    recipe: Digest
    artifact: Artifact


class VariantStatus(VariantFacts):
    """A variant that was made."""

    name: str = Field(max_length=100)
    recipe: Digest
    artifact: Artifact
    reason: str = Field(default="", max_length=1024)
    """Why it was rejected, or empty."""


class CompiledStatus(CompiledFacts):
    """A variant compiled for a target's board."""

    recipe: Digest
    artifact: Artifact


class BenchmarkStatus(BenchmarkFacts):
    """How a compiled variant performed."""

    recipe: Digest
    artifact: Artifact


class GateStatus(Observed):
    """One gate: what was found, what is allowed. Inconclusive is not a pass."""

    name: GateName
    outcome: GateOutcome
    value: str = Field(default="", max_length=64)
    limit: str = Field(default="", max_length=64)
    message: str = Field(default="", max_length=512)


class CandidateStatus(Observed):
    """A variant on its way to a target."""

    variant: str = Field(max_length=100)
    """Name of the variant."""
    compiled: CompiledStatus | None = None
    benchmark: BenchmarkStatus | None = None
    gates: list[GateStatus] = Field(default=[], max_length=10)


class TargetArtifact(Observed):
    """What the board loads."""

    uri: str = Field(max_length=1200)
    digest: Digest
    size_bytes: int
    signer: str | None = Field(default=None, max_length=64)
    """SHA-256 of the public key that its signature is checked with; absent when it is not signed."""


class TargetLatency(Observed):
    """Latency of the selected variant, never without its provenance."""

    p50: Duration | None = None
    p90: Duration | None = None
    p99: Duration | None = None
    bound: Duration | None = None
    """Upper confidence bound of the gated percentile; a cost model's upper estimate."""
    provenance: Provenance


class TargetStatus(Observed):
    """One target, and the variant selected for it."""

    name: str = Field(max_length=40)
    board: BoardType
    toolchain: ToolchainName
    state: TargetState
    reason: str = Field(default="", max_length=128)
    message: str = Field(default="", max_length=2048)
    variant: str | None = Field(default=None, max_length=100)
    precision: Precision | None = None
    method: Method | None = None
    artifact: TargetArtifact | None = None
    delegation: Delegation | None = None
    latency: TargetLatency | None = None
    throughput: float | None = None
    """Inferences per second."""
    power: Power | None = None
    energy_per_inference: str | None = Field(default=None, max_length=20)
    end_to_end: TargetLatency | None = None
    """Camera to decision, where spec.benchmark.endToEnd asks for it."""
    memory: Memory | None = None
    memory_provenance: Provenance | None = None
    """measured, or estimated: then memory is a lower limit."""
    accuracy_on_target: AccuracyFacts | None = None
    node: str | None = Field(default=None, max_length=253)
    candidates: list[CandidateStatus] = Field(default=[], max_length=16)


class ProvenLatency(Observed):
    """Median latency of one provenance."""

    provenance: Provenance
    p50: Duration


class ProvenTarget(Observed):
    """What the selected variant of a target reached."""

    name: str = Field(max_length=40)
    board: BoardType
    artifact: Digest
    latencies: list[ProvenLatency] = Field(default=[], max_length=4)
    accuracy: AccuracyFacts


class ProvenRevision(Observed):
    """What a revision reached: a later one is held against it, when its own stages and Jobs are long gone."""

    revision: str = Field(max_length=64)
    generation: int
    """The generation of spec that it was built for."""
    targets: list[ProvenTarget] = Field(default=[], max_length=16)


class RevisionStatus(Observed):
    """Digests of everything that changes bytes or behaviour on the vehicle."""

    current: str | None = Field(default=None, max_length=64)
    stable: str | None = Field(default=None, max_length=64)
    previous: str | None = Field(default=None, max_length=64)
    baseline: str | None = Field(default=None, max_length=64)
    """The stable revision before the present one, which that was held against."""
    proven: list[ProvenRevision] = Field(default=[], max_length=3)
    """Figures of the current, the stable and the baseline revision."""
    releases: list[Release] = Field(default=[], max_length=2)
    """How the current revision, and the one that a rollback goes to, get onto a vehicle; with spec.rollout alone."""


class SummaryStatus(Observed):
    """One line for `kubectl get`: the selected precision, and the worst figures over all ready targets."""

    precision: str | None = Field(default=None, max_length=64)
    method: str | None = Field(default=None, max_length=64)
    p99: str | None = Field(default=None, max_length=64)
    drop: str | None = Field(default=None, max_length=64)
    provenance: str | None = Field(default=None, max_length=64)
    targets: str | None = Field(default=None, max_length=16)
    """Ready targets of all targets, such as 1/2."""
    wave: str | None = Field(default=None, max_length=64)
    message: str | None = Field(default=None, max_length=2048)


class HistoryEntry(Observed):
    """A revision that ended, newest first."""

    revision: str = Field(max_length=64)
    generation: int
    outcome: Literal["Ready", "Failed", "Superseded"]
    finished_at: str = Field(max_length=40)
    message: str = Field(default="", max_length=512)


class DeploymentStatus(Observed):
    """What the operator found and did."""

    observed_generation: int | None = None
    """The generation of spec that this status is about."""
    phase: Phase | None = None
    """Where the deployment is: Pending, Resolving, ... Ready, Failed or Suspended."""
    conditions: list[Condition] = Field(
        default=[],
        max_length=20,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """Ready always; Reconciling and Stalled only while True; one more for each step."""
    revision: RevisionStatus | None = None
    summary: SummaryStatus | None = None
    model: ResolvedModel | None = None
    variants: list[VariantStatus] = Field(default=[], max_length=32)
    targets: list[TargetStatus] = Field(default=[], max_length=16)
    stages: list[StageStatus] = Field(default=[], max_length=128)
    rollout: RolloutStatus | None = None
    handled_retry: str | None = Field(default=None, max_length=128)
    """The last dms.edge/retry annotation that was acted upon."""
    history: list[HistoryEntry] = Field(default=[], max_length=5)
