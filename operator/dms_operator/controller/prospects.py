"""What resolve has shown that no variant can reach: told before any is made."""

from math import ceil

from ..api import reasons
from ..api.capabilities import Precision
from ..api.confidence import provable_drop
from ..api.errors import DatasetInvalid, InvalidSpec
from ..api.label_fit import misfit, one_class, sample_shape
from ..api.sample_counts import divided, samples_for
from ..api.spec import DeploymentSpec
from ..api.stages import Failure, ModelFacts
from .gates import COUNTED, fewest_to_prove
from .rungs import QUANTIZED
from .text import loss

_LEAST_CALIBRATION = 16
"""Calibration samples below which nobody is told to go."""
_WORDS = {"onnx": "ONNX", "torchscript": "TorchScript"}


def hopeless(spec: DeploymentSpec, precisions: list[Precision], model: ModelFacts) -> Failure | None:
    """Why none of a target's precisions can pass with this model and this dataset; None where one may."""
    found = {
        InvalidSpec.reason: _frames(spec, model) or _untrainable(spec, precisions, model),
        DatasetInvalid.reason: _misfit(spec, model),
        reasons.ACCURACY_INCONCLUSIVE: _too_few(spec, precisions, model),
    }
    return next((Failure(reason=each, message=why, retryable=False) for each, why in found.items() if why), None)


def _frames(spec: DeploymentSpec, model: ModelFacts) -> str | None:
    wanted = spec.benchmark.end_to_end
    return wanted.refusal({tensor.name: tensor.shape for tensor in model.inputs}) if wanted else None


def _untrainable(spec: DeploymentSpec, precisions: list[Precision], model: ModelFacts) -> str | None:
    if spec.quantization.method != "qat" or model.format == "pt2" or not set(precisions) <= set(QUANTIZED):
        return None
    return (
        f"method qat trains the PyTorch program, and the model is {_WORDS[model.format]}: give the .pt2 file of "
        "torch.export.save, or another method"
    )


def _misfit(spec: DeploymentSpec, model: ModelFacts) -> str | None:
    """Labels that do not fit the metric, or prove nothing by it."""
    metric, labels, samples = spec.dataset.metric, model.labels, model.dataset_samples
    if labels is None or samples is None or not model.outputs:
        return None
    found = misfit(metric, labels, samples, sample_shape(model.outputs[0].shape)) or one_class(metric, labels, samples)
    return f"{found.problem}. {found.hint}" if found else None


def _too_few(spec: DeploymentSpec, precisions: list[Precision], model: ModelFacts) -> str | None:
    """Fewer samples than prove anything, even without any loss; fp32 alone needs no proof."""
    dataset, limit, samples = spec.dataset, spec.quantization.max_accuracy_drop, model.dataset_samples
    if samples is None or "fp32" in precisions:
        return None
    fewest = fewest_to_prove(dataset.metric, limit)
    evaluating = divided(samples, dataset.calibration_samples, dataset.evaluation_samples)[1]
    if evaluating >= fewest:
        return None
    wanted = [f"{samples_for(fewest, dataset.calibration_samples)} samples"]
    if samples - fewest >= _LEAST_CALIBRATION:
        wanted.append(f"dataset.calibrationSamples: {samples - fewest}")
    if dataset.metric in COUNTED:
        wanted.append(f"quantization.maxAccuracyDrop: {_rounded_up(provable_drop(evaluating)):g}")
    return (
        f"the dataset has {samples} samples, of which {evaluating} evaluate: a drop of at most "
        f"{loss(dataset.metric, limit)} takes {fewest} to prove, even without any loss. Give {' or '.join(wanted)}"
    )


def _rounded_up(drop: float) -> float:
    return ceil(drop * 1000) / 1000
