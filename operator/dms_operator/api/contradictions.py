"""Parts of a spec that can never be true together: each told at `kubectl apply` by CEL, and again by the operator.

Without that they would be told by a stage or a gate, after quantization was paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from .confidence import ACCURACY, FEWEST_RESAMPLED, fewest_samples
from .rule import Rule
from .target_options.tidl import ESTIMATE_ONLY

if TYPE_CHECKING:  # the spec asks for its contradictions
    from .spec import DeploymentSpec, TargetSpec


@dataclass(frozen=True)
class Contradiction:
    """What cannot be, in words, as a CEL rule that holds where it is not, and as a question to a spec."""

    words: str
    rule: str
    found: Callable[[DeploymentSpec], bool]


_ESTIMATED = f"('{ESTIMATE_ONLY}' in t.options && t.options['{ESTIMATE_ONLY}'] == 'true')"
_PROVEN = "(has(t.minProvenance) ? t.minProvenance : self.benchmark.minProvenance) in ['simulated', 'measured']"


def _estimates(spec: DeploymentSpec) -> list[TargetSpec]:
    return [target for target in spec.targets if target.options.get(ESTIMATE_ONLY) == "true"]


def _estimates_meant_as_proof(spec: DeploymentSpec) -> bool:
    wanted = [target.min_provenance or spec.benchmark.min_provenance for target in _estimates(spec)]
    return "simulated" in wanted or "measured" in wanted


ESTIMATES = (
    Contradiction(
        f"no vehicle can load an estimate: leave out option {ESTIMATE_ONLY}, or spec.rollout",
        f"!has(self.rollout) || !self.targets.exists(t, {_ESTIMATED})",
        lambda spec: spec.rollout is not None and bool(_estimates(spec)),
    ),
    Contradiction(
        f"what option {ESTIMATE_ONLY} gives is estimated, and can never pass as more: set targets[].minProvenance to "
        "estimated beside it",
        f"!self.targets.exists(t, {_ESTIMATED} && {_PROVEN})",
        _estimates_meant_as_proof,
    ),
    Contradiction(
        f"option {ESTIMATE_ONLY} proves neither power nor memory: leave out benchmark.powerBudget and memoryBudget",
        "!(has(self.benchmark.powerBudget) || has(self.benchmark.memoryBudget)) || "
        f"!self.targets.exists(t, {_ESTIMATED})",
        lambda spec: bool(_estimates(spec) and (spec.benchmark.power_budget or spec.benchmark.memory_budget)),
    ),
)


_DROP = "self.quantization.maxAccuracyDrop"
_SAMPLES = "double(self.dataset.evaluationSamples)"
_LOSSY = "(has(t.precisions) ? t.precisions : self.quantization.precisions).exists(p, p != 'fp32')"
_COUNTED = "self.dataset.metric in ['top1', 'macroF1']"


def _is_lossy(spec: DeploymentSpec) -> bool:
    """Whether a loss has to be proven small: fp32 is the reference itself."""
    return any(set(spec.precisions_of(target)) != {"fp32"} for target in spec.targets)


def _few_to_count(spec: DeploymentSpec) -> bool:
    drop = spec.quantization.max_accuracy_drop
    counts = spec.dataset.metric in ("top1", "macroF1") and drop < 1
    return counts and _is_lossy(spec) and spec.dataset.evaluation_samples < fewest_samples(drop)


def _few_to_resample(spec: DeploymentSpec) -> bool:
    resampled = spec.dataset.metric in ("mae", "cosine")
    return resampled and _is_lossy(spec) and spec.dataset.evaluation_samples < FEWEST_RESAMPLED


def _examples() -> str:
    return ", ".join(f"{drop:g} takes {fewest_samples(drop)}" for drop in (0.01, 0.02, 0.05, 0.1))


SAMPLES = (
    Contradiction(
        "so few dataset.evaluationSamples prove no drop of quantization.maxAccuracyDrop, even without any loss: "
        f"{_examples()}; evaluate more, or allow more",
        # CEL has no logarithm: -ln(1 - d) <= d (2 - d) / (2 (1 - d)), near enough that the operator refuses hardly more
        f"!({_COUNTED}) || {_DROP} >= 1.0 || !self.targets.exists(t, {_LOSSY}) || "
        f"{_SAMPLES} * {_DROP} * (2.0 - {_DROP}) >= {-2 * log(1 - ACCURACY):.4f} * (1.0 - {_DROP})",
        _few_to_count,
    ),
    Contradiction(
        f"mae and cosine take at least {FEWEST_RESAMPLED} dataset.evaluationSamples: fewer prove nothing",
        f"{_COUNTED} || self.dataset.evaluationSamples >= {FEWEST_RESAMPLED} || !self.targets.exists(t, {_LOSSY})",
        _few_to_resample,
    ),
)


def _trains_no_program(spec: DeploymentSpec) -> bool:
    model = spec.model
    named = model.format == "auto" and model.uri.endswith(".onnx")
    return spec.quantization.method == "qat" and (named or model.format in ("onnx", "torchscript"))


PROGRAMS = (
    Contradiction(
        "method qat trains the PyTorch program: give the .pt2 file of torch.export.save, or another method",
        "self.quantization.method != 'qat' || !(self.model.format in ['onnx', 'torchscript'] || "
        "self.model.format == 'auto' && self.model.uri.endsWith('.onnx'))",
        _trains_no_program,
    ),
    Contradiction(
        "a TorchScript file does not tell the shapes of its inputs: write model.inputs, such as "
        "[{name: frames, shape: [1, 3, 224, 224]}]",
        "self.model.format != 'torchscript' || has(self.model.inputs)",
        lambda spec: spec.model.format == "torchscript" and spec.model.inputs is None,
    ),
)

CONTRADICTIONS = (*ESTIMATES, *SAMPLES, *PROGRAMS)


def contradiction_rules() -> Iterator[Rule]:
    """Their CEL rules on `spec`."""
    for each in CONTRADICTIONS:
        yield Rule(each.rule, each.words)


def contradictions(spec: DeploymentSpec) -> Iterator[str]:
    """In words, what of a spec can never be true together."""
    for each in CONTRADICTIONS:
        if each.found(spec):
            yield each.words
