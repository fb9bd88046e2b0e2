"""One target: the variants that are tried for it, in order, and what became of each."""

from dataclasses import dataclass, field
from typing import Literal

from ..api.capabilities import Precision
from ..api.stages import BenchmarkFacts, CompiledFacts, Failure, StageName, StageResult, VariantFacts
from ..api.status import GateStatus
from .gates import first_miss
from .rungs import Rung

Verdict = Literal["Working", "Passed", "NextRung", "NextPrecision", "Unproven", "Stopped"]

MODEL_REASONS = ("QuantizationFailed", "UnsupportedOperators", "ConversionFailed")
"""Failures that are about this precision of this model: another precision may do better."""

RUNG_GATES = ("accuracy", "accuracyOnTarget", "accuracyRegression")
"""Gates that another way to make the same precision may pass."""

EVIDENCE_GATES = ("latency", "latencyRegression", "accuracyRegression", "memory", "power")
"""Gates that, where they are inconclusive, would be so for another variant as well."""


@dataclass(frozen=True)
class Candidate:
    """A variant on its way to a target."""

    name: str
    rung: Rung
    stage: StageName
    """The stage that it is in, or that it came to its end in."""
    quantized: StageResult | None = None
    converted: StageResult | None = None
    benchmarked: StageResult | None = None
    gates: list[GateStatus] = field(default_factory=list)
    failure: Failure | None = None
    lacks_samples: bool = False
    """Accuracy is not proven, and it is samples that are lacking, not another way to make the variant."""

    @property
    def precision(self) -> Precision:
        """Precision of the variant."""
        return self.rung.precision

    @property
    def variant(self) -> VariantFacts | None:
        """What quantize made."""
        return self.quantized.variant if self.quantized else None

    @property
    def compiled(self) -> CompiledFacts | None:
        """What convert made."""
        return self.converted.compiled if self.converted else None

    @property
    def benchmark(self) -> BenchmarkFacts | None:
        """What benchmark found."""
        return self.benchmarked.benchmark if self.benchmarked else None

    @property
    def miss(self) -> GateStatus | None:
        """The first gate that was not passed."""
        return first_miss(self.gates)

    @property
    def verdict(self) -> Verdict:
        """Where to go from here."""
        if self.failure:
            return "NextPrecision" if self.failure.reason in MODEL_REASONS else "Stopped"
        if self.miss:
            unproven = self.lacks_samples and self.miss.name in ("accuracy", "accuracyOnTarget")
            return "Unproven" if unproven else _after(self.miss, self.rung)
        return "Passed" if self.benchmarked else "Working"


def _after(miss: GateStatus, rung: Rung) -> Verdict:
    """Another variant may do better, unless it is the evidence that is lacking: that would be lacking again."""
    if miss.name == "latency" and miss.outcome == "Fail" and rung.widened:
        return "NextRung"  # a few wide layers may be as accurate as all, and faster
    evidence = miss.name in EVIDENCE_GATES or not miss.value
    if miss.name == "provenance" or (miss.outcome == "Inconclusive" and evidence):
        return "Stopped"
    return "NextRung" if miss.name in RUNG_GATES else "NextPrecision"
