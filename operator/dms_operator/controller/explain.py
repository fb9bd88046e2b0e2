"""Why a target stands where it stands, and what to change: one line each, the product's voice."""

from dataclasses import dataclass

from ..api.capabilities import TOOLCHAINS
from ..api.labels import RETRY
from ..api.spec import DeploymentSpec
from ..api.status import GateOutcome
from . import gates
from .ladder import PROOF_GATES, RUNG_GATES, Candidate
from .rungs import QUANTIZED
from .survey import TargetSurvey
from .text import loss


@dataclass(frozen=True)
class Verdict:
    """A reason (CamelCase, stable) and a message."""

    reason: str
    message: str


def failed_target(survey: TargetSurvey, spec: DeploymentSpec) -> Verdict:
    """Why no variant was selected for a target that has nothing left to try."""
    if survey.blocker:
        return Verdict(survey.blocker.reason, survey.blocker.message)
    last = survey.candidates[-1]
    if last.verdict == "Stopped" and last.failure:
        return Verdict(last.failure.reason, last.failure.message)
    groups = _by_cause(survey.candidates)
    best = _best(groups[-1])
    told, hint = "; ".join(_lost(group) for group in groups), _hint(survey, spec, best)
    return Verdict(_reason(best), f"{told}. {hint}" if hint else told)


def rejection(candidate: Candidate) -> str:
    """Why a candidate was not taken, or empty."""
    if candidate.failure:
        return candidate.failure.message
    return candidate.miss.message if candidate.miss else ""


def _by_cause(candidates: list[Candidate]) -> list[list[Candidate]]:
    """Candidates of one precision together; and of all precisions that one failure of a stage ended."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        key = candidate.failure.reason if candidate.failure else candidate.precision
        groups.setdefault(key, []).append(candidate)
    return list(groups.values())


def _best(group: list[Candidate]) -> Candidate:
    """The rung that came furthest: the last one, or, if accuracy ended that, the one nearest to a proof."""
    if not _lost_accuracy(group[-1]):
        return group[-1]
    return _nearest([each for each in group if _lost_accuracy(each)])


def _nearest(fallen: list[Candidate]) -> Candidate:
    """To a proof: what was found within the limit, and of that what is proven to lose least."""
    return min(fallen, key=lambda each: (each.verdict != "Unproven", each.upper_bound))


def _lost_accuracy(candidate: Candidate) -> bool:
    return candidate.miss is not None and candidate.miss.name in PROOF_GATES


def _lost(group: list[Candidate]) -> str:
    best = _best(group)
    rejected = rejection(best)
    if _lost_accuracy(best):
        rejected += f" (best of {len(group)} tried: {best.name})" if len(group) > 1 else ""
    elif doubted := [each for each in group if each.verdict == "Unproven"]:
        nearest = _nearest(doubted)
        rejected += f" ({best.name}); {nearest.name} {rejection(nearest)}"
    precisions = dict.fromkeys(candidate.precision for candidate in group)
    return f"{', '.join(precisions)}: {rejected}"


def _reason(candidate: Candidate) -> str:
    if candidate.failure:
        return candidate.failure.reason
    return gates.miss_reason(candidate.miss) if candidate.miss else "Failed"


_HINTS: dict[tuple[str, GateOutcome], str] = {
    ("accuracy", "Inconclusive"): "Try: more samples in the dataset and in dataset.evaluationSamples, "
    "fewer calibrationSamples, or a larger maxAccuracyDrop",
    ("accuracyOnTarget", "Inconclusive"): "Try more dataset.evaluationSamples or benchmark.simulationSamples",
    ("accuracyRegression", "Fail"): "Try other training, or accept it by a larger benchmark.regression.accuracy",
    ("accuracyRegression", "Inconclusive"): "Try more dataset.evaluationSamples, or accept it by a larger "
    "benchmark.regression.accuracy",
    ("latencyRegression", "Fail"): "Try a smaller model, or accept it by a larger benchmark.regression.latency",
    ("latencyRegression", "Inconclusive"): "Measure again, or accept it by a larger benchmark.regression.latency",
    ("delegation", "Fail"): "Export the model with operators that the NPU takes in place of these",
    ("delegation", "Inconclusive"): "Look at the log of the convert pod",
    ("latency", "Fail"): "Try a smaller input or backbone, a cheaper precision, or a larger benchmark.latencyBudget",
    ("latency", "Inconclusive"): "Try benchmark.profile: normal, which times more queries, or give "
    f"annotation {RETRY} a new value to measure again",
    ("power", "Fail"): "Try a smaller model, a cheaper precision, or a larger benchmark.powerBudget",
    ("power", "Inconclusive"): "Measure on a board with a power meter, or remove benchmark.powerBudget",
    ("memory", "Fail"): "Try a smaller model, a cheaper precision, or a larger benchmark.memoryBudget",
    ("memory", "Inconclusive"): "Measure on a board, or remove benchmark.memoryBudget",
    ("provenance", "Fail"): "Run on a board of this type, or accept a weaker minProvenance for the target",
}


def _hint(survey: TargetSurvey, spec: DeploymentSpec, last: Candidate) -> str:
    if last.failure or not last.miss:
        return ""
    known = _HINTS.get((last.miss.name, last.miss.outcome))
    if known is None and last.miss.name in RUNG_GATES:
        return _accuracy_hint(survey, spec)
    spared = "No training is spent on a loss within the limit. " if _spares_training(survey, spec, last) else ""
    return f"{spared}{known or ''}"


def _accuracy_hint(survey: TargetSurvey, spec: DeploymentSpec) -> str:
    possible = TOOLCHAINS[survey.spec.effective_toolchain()].deployable
    asked = spec.precisions_of(survey.spec)
    more = [each for each in ("int8", "fp16") if each in possible and each not in asked]
    tries = [f"add {more[0]} to precisions"] if more else []
    if spec.quantization.method == "auto" and not survey.trainable and _of_integers(survey):
        tries.append("the PyTorch program (.pt2) as model, which alone can be trained")
    if spec.quantization.static is not None:
        tries.append("no quantization.static, so that every form is tried")
    if spec.quantization.calibration != "auto" and spec.quantization.method != "dynamic":
        tries.append("calibration: auto")
    tries += ["more calibrationSamples", f"a larger maxAccuracyDrop (now {_limit(spec)})"]
    return "Try: " + ", ".join(tries)


def _spares_training(survey: TargetSurvey, spec: DeploymentSpec, best: Candidate) -> bool:
    """Whether training would have been tried, had the loss been beyond the limit."""
    trained = any(each.rung.method == "qat" for each in survey.candidates)
    of_integers = best.precision in QUANTIZED and spec.quantization.method == "auto" and survey.trainable
    return best.verdict == "Unproven" and of_integers and spec.quantization.static is None and not trained


def _of_integers(survey: TargetSurvey) -> bool:
    """Whether a precision was tried that training may keep."""
    return any(candidate.precision in QUANTIZED for candidate in survey.candidates)


def _limit(spec: DeploymentSpec) -> str:
    return loss(spec.dataset.metric, spec.quantization.max_accuracy_drop)
