"""One target: the variants that are tried for it, in order, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from ..api.capabilities import Precision
from ..api.stages import BenchmarkFacts, CompiledFacts, Failure, StageName, StageResult, VariantFacts
from ..api.status import GateStatus
from .gates import Doubt, first_miss
from .rungs import Rung

Verdict = Literal["Working", "Passed", "NextRung", "NextPrecision", "Stopped"] | Doubt

MODEL_REASONS = ("QuantizationFailed", "UnsupportedOperators", "ConversionFailed")
"""Failures that are about this precision of this model: another precision may do better."""

RUNG_GATES = ("accuracy", "accuracyOnTarget", "accuracyRegression")
"""Gates that another way to make the same precision may pass."""

PROOF_GATES = ("accuracy", "accuracyOnTarget")
"""Gates of a loss that samples have to prove."""

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
    doubt: Doubt | None = None
    """Accuracy is not proven, and it is samples that are lacking."""

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
            doubted = self.doubt if self.miss.name in PROOF_GATES else None
            return doubted or _after(self.miss, self.rung)
        return "Passed" if self.benchmarked else "Working"

    @property
    def upper_bound(self) -> float:
        """The most that the drop may be in truth, where it was not proven; infinite if nobody knows."""
        if self.benchmark and self.miss and self.miss.name == "accuracyOnTarget":
            found = self.benchmark.accuracy_on_target_interval
        else:
            found = self.variant.drop_interval if self.variant else None
        return inf if found is None or found.high is None else found.high


def worth_trying(rung: Rung, tried: Sequence[Candidate]) -> bool:
    """Whether a rung may help after others of its precision.

    A loss that was found within the limit lacks samples for its proof. Another post-training rung costs minutes and may
    lose nothing at all, but no training is spent on it. Nor is a search for layers to widen: it ends at half of the
    limit (rungs.AIM), so mostly where it begins, with none; unless all of them widened are proven, and only too slow.
    """
    if not any(each.verdict == "Unproven" for each in tried):
        return True
    if rung.method == "qat":
        return False
    last = tried[-1]
    return not rung.searches or (last.miss is not None and _too_wide(last.miss, last.rung))


def lacks_samples(tried: Sequence[Candidate]) -> bool:
    """Whether it is for want of samples that no variant of a precision was taken."""
    doubted = any(each.verdict in ("Unproven", "Unprovable") for each in tried)
    proven = bool(tried) and tried[-1].verdict == "NextPrecision" and tried[-1].stage != "quantize"
    return doubted and not proven


def _too_wide(miss: GateStatus, rung: Rung) -> bool:
    """A few wide layers may be as accurate as all, and faster."""
    return miss.name == "latency" and miss.outcome == "Fail" and rung.widened


def _after(miss: GateStatus, rung: Rung) -> Verdict:
    """Another variant may do better, unless it is the evidence that is lacking: that would be lacking again."""
    if _too_wide(miss, rung):
        return "NextRung"
    evidence = miss.name in EVIDENCE_GATES or not miss.value
    if miss.name == "provenance" or (miss.outcome == "Inconclusive" and evidence):
        return "Stopped"
    return "NextRung" if miss.name in RUNG_GATES else "NextPrecision"
