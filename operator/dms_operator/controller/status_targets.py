"""status.variants and status.targets: everything that was made and found, and what was selected."""

from typing import Any, TypeVar

from ..api.base import Observed as Model
from ..api.quantities import Power
from ..api.spec import DeploymentSpec, TargetSpec
from ..api.stages import BenchmarkFacts, LatencyFacts, StageResult
from ..api.status import (
    BenchmarkStatus,
    CandidateStatus,
    CompiledStatus,
    ResolvedModel,
    TargetArtifact,
    TargetLatency,
    TargetState,
    TargetStatus,
    VariantStatus,
)
from .explain import failed_target, rejection
from .gates import counted_latency
from .ladder import Candidate
from .rungs import REFERENCE
from .survey import Survey, TargetSurvey
from .text import clip, number

T = TypeVar("T", bound=Model)

BLOBS = "blobs/sha256"
"""Where the artifact store keeps manifests, below its URI (artifacts/store.py)."""


def resolved_model(survey: Survey) -> ResolvedModel | None:
    """status.model."""
    return _kept(ResolvedModel, survey.model, "model") if isinstance(survey.model, StageResult) else None


def variants(survey: Survey) -> list[VariantStatus]:
    """status.variants: the reference first, then each variant once, in the order in which it was needed."""
    found: dict[str, VariantStatus] = {}
    if isinstance(survey.reference, StageResult):
        found[survey.reference.recipe] = _kept(
            VariantStatus, survey.reference, "variant", name=REFERENCE.name("onnxruntime")
        )
    for candidate in (each for target in survey.targets for each in (*target.candidates, *target.ahead)):
        if candidate.quantized:
            entry = _kept(
                VariantStatus,
                candidate.quantized,
                "variant",
                name=candidate.name,
                reason=_rejected(candidate),
            )
            found.setdefault(candidate.quantized.recipe, entry)
    return list(found.values())


def target_status(survey: TargetSurvey, spec: DeploymentSpec) -> TargetStatus:
    """One entry of status.targets."""
    selected = survey.selected
    common: dict[str, Any] = {
        "name": survey.spec.name,
        "board": survey.spec.board,
        "toolchain": survey.spec.effective_toolchain(),
        "candidates": [_candidate(each) for each in (*survey.candidates, *survey.ahead)],
    }
    if selected:
        return TargetStatus(**common, state="Ready", **_selection(selected, survey.spec, spec.artifacts.uri))
    if survey.working:
        return TargetStatus(**common, state=_working_state(survey), message=_working_message(survey))
    verdict = failed_target(survey, spec)
    return TargetStatus(**common, state="Failed", reason=clip(verdict.reason, 128), message=clip(verdict.message, 2048))


def _kept(kind: type[T], result: StageResult, field: str, **more: Any) -> T:
    """A stage's facts as the status keeps them: with their recipe and artifact."""
    facts = dict(getattr(result, field))
    return kind(**{**facts, **more, "recipe": result.recipe, "artifact": result.artifact})


def _rejected(candidate: Candidate) -> str:
    """What speaks against the variant itself; a later gate speaks against it on one target only."""
    miss = candidate.miss
    return clip(miss.message, 1024) if miss and miss.name == "accuracy" else ""


def _candidate(candidate: Candidate) -> CandidateStatus:
    converted, measured = candidate.converted, candidate.benchmarked
    return CandidateStatus(
        variant=candidate.name,
        compiled=_kept(CompiledStatus, converted, "compiled") if converted else None,
        benchmark=_kept(BenchmarkStatus, measured, "benchmark") if measured else None,
        gates=candidate.gates,
    )


def _working_state(survey: TargetSurvey) -> TargetState:
    stage = survey.candidates[-1].stage if survey.candidates else "quantize"
    states: dict[str, TargetState] = {"convert": "Converting", "benchmark": "Benchmarking"}
    return states.get(stage, "Pending")


def _working_message(survey: TargetSurvey) -> str:
    """What was tried already, while something else is tried."""
    told = [f"{each.name}: {rejection(each)}" for each in survey.candidates[:-1]]
    return clip("; ".join(told), 2048)


def _selection(candidate: Candidate, target: TargetSpec, store: str) -> dict[str, Any]:
    variant, compiled, benchmark = candidate.variant, candidate.compiled, candidate.benchmark
    assert variant and compiled and benchmark and candidate.converted and candidate.converted.artifact
    made = candidate.converted.artifact
    uri = f"{store.rstrip('/')}/{BLOBS}/{made.digest.removeprefix('sha256:')}"
    latency = counted_latency(benchmark, target.effective_toolchain())
    return {
        "variant": candidate.name,
        "precision": variant.precision,
        "method": variant.method,
        "artifact": TargetArtifact(uri=uri, digest=made.digest, size_bytes=compiled.size_bytes, signer=made.signer),
        "delegation": compiled.delegation,
        "latency": TargetLatency(**_figures(latency)) if latency else None,
        "throughput": benchmark.throughput,
        "power": benchmark.power,
        "energy_per_inference": _energy(benchmark, latency),
        "end_to_end": TargetLatency(**_figures(benchmark.end_to_end)) if benchmark.end_to_end else None,
        "memory": benchmark.memory,
        "memory_provenance": benchmark.memory_provenance,
        "accuracy_on_target": benchmark.accuracy_on_target,
        "node": benchmark.node or None,
    }


def _figures(latency: LatencyFacts) -> dict[str, Any]:
    return {key: getattr(latency, key) for key in ("p50", "p90", "p99", "bound", "provenance")}


def _energy(benchmark: BenchmarkFacts, latency: LatencyFacts | None) -> str | None:
    """As the board found it; else power above idle times the median latency, in millijoules."""
    if benchmark.energy_per_inference is not None:
        return str(benchmark.energy_per_inference)
    power: Power | None = benchmark.power
    if power is None or latency is None:
        return None
    return f"{number(power.value * latency.p50.value * 1e3, 3)}mJ"
