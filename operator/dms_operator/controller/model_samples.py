"""A deployment's status as Prometheus samples: one function, pure. Names and labels are design.md section 10's."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..api.quantities import Duration
from ..api.reasons import PHASES
from ..api.stages import LOWER_IS_BETTER, PROVENANCE_ORDER, AccuracyFacts
from ..api.status import CandidateStatus, DeploymentStatus, TargetStatus
from .caches import ObjectName
from .rollout_samples import ROLLOUT_FAMILIES, rollout_samples
from .samples import OBJECT_LABELS, Family, Sample
from .stage_samples import STAGE_FAMILIES, stage_samples

_OBJECT = OBJECT_LABELS
_TARGET = (*_OBJECT, "target")

INFO = Family(
    "dms_deployment_info",
    "Selected variant of a target",
    (*_TARGET, "board", "revision", "precision", "method"),
)
PHASE = Family("dms_deployment_phase", "1 for the phase that the deployment is in", (*_OBJECT, "phase"))
CONDITION = Family("dms_deployment_condition", "1 for the status that the condition has", (*_OBJECT, "type", "status"))
LATENCY = Family(
    "dms_model_latency_seconds",
    "Latency of the selected variant, per statistic (p50, p90, p99, bound) and provenance",
    (*_TARGET, "board", "precision", "provenance", "statistic"),
)
BOUND = Family(
    "dms_model_latency_bound_seconds",
    "Upper confidence bound of the gated percentile, of the provenance that the gate judges",
    (*_TARGET, "board", "precision", "provenance"),
)
DROP_LIMIT = Family(
    "dms_model_accuracy_drop_limit_ratio", "Largest accepted loss of accuracy against the fp32 model", _OBJECT
)
BUDGET = Family("dms_model_latency_budget_seconds", "Latency budget", _OBJECT)
THROUGHPUT = Family(
    "dms_model_throughput_ips",
    "Inferences per second of the selected variant, of the strongest provenance",
    (*_TARGET, "provenance"),
)
POWER = Family("dms_model_power_watts", "Mean power above idle of the selected variant", _TARGET)
ENERGY = Family("dms_model_energy_joules_per_inference", "Energy of one inference above idle", _TARGET)
ACCURACY = Family(
    "dms_model_accuracy_ratio",
    "Accuracy: of the fp32 model, of the variant, and on the target",
    (*_TARGET, "stage"),
)
ERROR = Family(
    "dms_model_error",
    "Mean absolute error (metric mae) in the labels' unit: of the fp32 model, of the variant, and on the target",
    (*_TARGET, "stage"),
)
DROP = Family("dms_model_accuracy_drop_ratio", "Accuracy lost against the fp32 model", _TARGET)
DELEGATION = Family("dms_model_npu_delegation_ratio", "Share of graph nodes that run on the NPU", _TARGET)
SIZE = Family("dms_artifact_size_bytes", "Bytes that the board loads", _TARGET)

FAMILIES = (
    INFO, PHASE, CONDITION, LATENCY, BOUND, BUDGET, THROUGHPUT, POWER, ENERGY, ACCURACY, ERROR, DROP, DROP_LIMIT,
    DELEGATION, SIZE, *STAGE_FAMILIES, *ROLLOUT_FAMILIES,
)  # fmt: skip


def samples_of(name: ObjectName, spec: Mapping[str, Any], status: DeploymentStatus) -> list[Sample]:
    """All samples of one deployment; `spec` is the raw one, which may be invalid."""
    return [
        *_whole(name, spec, status),
        *stage_samples(name, status),
        *rollout_samples(name, status.rollout),
        *(sample for target in status.targets for sample in _target(name, status, target)),
    ]


def _whole(name: ObjectName, spec: Mapping[str, Any], status: DeploymentStatus) -> Iterator[Sample]:
    if status.phase is not None:
        yield from (Sample(PHASE, (*name, phase), float(phase == status.phase)) for phase in PHASES)
    for condition in status.conditions:
        yield Sample(CONDITION, (*name, condition.type, condition.status), 1.0)
    if (budget := _budget_seconds(spec)) is not None:
        yield Sample(BUDGET, name, budget)
    limit = (spec.get("quantization") or {}).get("maxAccuracyDrop")
    if isinstance(limit, int | float):
        yield Sample(DROP_LIMIT, name, limit)


def _budget_seconds(spec: Mapping[str, Any]) -> float | None:
    text = (spec.get("benchmark") or {}).get("latencyBudget")
    try:
        return Duration.parse(text).value
    except ValueError:
        return None


def _target(name: ObjectName, status: DeploymentStatus, target: TargetStatus) -> Iterator[Sample]:
    if target.variant is None:
        return
    labels = (*name, target.name)
    precision = target.precision or ""
    revision = (status.revision and status.revision.current) or ""
    yield Sample(INFO, (*labels, target.board, revision, precision, target.method or ""), 1.0)
    if (latency := target.latency) is not None and latency.bound is not None:
        yield Sample(BOUND, (*labels, target.board, precision, latency.provenance), latency.bound.value)
    if target.artifact is not None:
        yield Sample(SIZE, labels, target.artifact.size_bytes)
    if target.delegation is not None and target.delegation.total:
        yield Sample(DELEGATION, labels, target.delegation.npu / target.delegation.total)
    if target.power is not None:
        yield from _power(labels, target)
    yield from _accuracy(labels, status, target)
    for candidate in target.candidates:
        if candidate.variant == target.variant:
            yield from _throughput(labels, candidate)
            yield from _latencies((*labels, target.board, precision), candidate)


def _power(labels: tuple[str, ...], target: TargetStatus) -> Iterator[Sample]:
    assert target.power is not None
    yield Sample(POWER, labels, target.power.value)
    if target.throughput:
        yield Sample(ENERGY, labels, target.power.value / target.throughput)


def _throughput(labels: tuple[str, ...], candidate: CandidateStatus) -> Iterator[Sample]:
    facts = candidate.benchmark
    if facts is not None and facts.throughput is not None and facts.latencies:
        strongest = max((one.provenance for one in facts.latencies), key=PROVENANCE_ORDER.index)
        yield Sample(THROUGHPUT, (*labels, strongest), facts.throughput)


def _latencies(labels: tuple[str, ...], candidate: CandidateStatus) -> Iterator[Sample]:
    for facts in candidate.benchmark.latencies if candidate.benchmark else ():
        figures = {"p50": facts.p50, "p90": facts.p90, "p99": facts.p99, "bound": facts.bound}
        for statistic, figure in figures.items():
            if figure is not None:
                yield Sample(LATENCY, (*labels, facts.provenance, statistic), figure.value)


def _accuracy(labels: tuple[str, ...], status: DeploymentStatus, target: TargetStatus) -> Iterator[Sample]:
    for variant in status.variants:
        if variant.precision == "fp32":
            yield _score(labels, "reference", variant.accuracy)
        if variant.name == target.variant:
            yield _score(labels, "variant", variant.accuracy)
            yield Sample(DROP, labels, variant.accuracy_drop)
    if target.accuracy_on_target is not None:
        yield _score(labels, "target", target.accuracy_on_target)


def _score(labels: tuple[str, ...], stage: str, facts: AccuracyFacts) -> Sample:
    """An error is no share, and alerts have to know that less of it is better."""
    return Sample(ERROR if facts.metric in LOWER_IS_BETTER else ACCURACY, (*labels, stage), facts.value)
