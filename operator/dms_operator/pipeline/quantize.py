"""Stage quantize: make one variant of a resolved model, and score it against the fp32 reference."""

import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx

from ..api.errors import ArtifactMissing, DatasetInvalid, QuantizationFailed
from ..api.stages import QuantizeRecipe, VariantFacts
from .context import StageContext, StageOutput
from .dataset import Dataset, load_dataset
from .evaluate import REFERENCE_FILE, Reference, first_outputs
from .labels import check_classes
from .metrics import drop, drop_interval, score
from .onnx_file import inputs_of
from .sampling import Split, split

_METHODS = {"fp32": ("none",), "fp16": ("cast",), "int8": ("static", "dynamic", "qat"), "int4": ("static", "qat")}

_NOTES_LIMIT = 500
"""Bound of VariantFacts.notes."""


def run(recipe: QuantizeRecipe, context: StageContext) -> StageOutput:
    """Give `model.onnx` and `reference.npz` (the fp32 outputs on the evaluation samples, in every variant).

    Raises DMSError.
    """
    began = time.monotonic()
    check_recipe(recipe)
    resolved = context.fetch(recipe.resolved)
    dataset = _dataset(recipe, resolved, context)
    reference = None if recipe.reference is None else Reference.load(context.fetch(recipe.reference))
    chosen = choose_samples(recipe, len(dataset), reference)
    workdir = context.scratch("quantize")
    files = {"model.onnx": workdir / "model.onnx", REFERENCE_FILE: workdir / REFERENCE_FILE}
    made = _make(recipe, resolved, files["model.onnx"], dataset, chosen, context)
    files |= made.files
    notes = "; ".join(note for note in (chosen.notes, *made.notes) if note)[:_NOTES_LIMIT]
    chosen = replace(chosen, notes=notes)
    outputs = first_outputs(files["model.onnx"], dataset, chosen.evaluation, context.progress)
    (reference or Reference(chosen.evaluation, outputs)).save(files[REFERENCE_FILE])
    facts = _facts(recipe, made.scheme, dataset, chosen, outputs, reference, files["model.onnx"])
    return files, facts.model_copy(update={"seconds": round(time.monotonic() - began, 3)})


def check_recipe(recipe: QuantizeRecipe) -> None:
    """Raise QuantizationFailed for a combination of precision, method and toolchain that no variant is made from."""
    if recipe.method not in _METHODS[recipe.precision]:
        raise QuantizationFailed(
            f"{recipe.precision} is not made by the method {recipe.method}",
            hint=f"Use {' or '.join(_METHODS[recipe.precision])}",
        )
    if recipe.method == "dynamic" and recipe.toolchain != "onnxruntime":
        raise QuantizationFailed(
            "dynamically quantized models run on CPUs only",
            hint="Use method: static for NPUs, or toolchain: onnxruntime",
        )
    if recipe.precision != "fp32" and recipe.reference is None:
        raise QuantizationFailed("the recipe names no fp32 reference", hint="Quantize fp32 first")


def choose_samples(recipe: QuantizeRecipe, samples: int, reference: Reference | None) -> Split:
    """The recipe's samples; the score is always taken on the very samples that the reference was scored on."""
    chosen = split(samples, recipe.calibration_samples, recipe.evaluation_samples, recipe.seed)
    if reference is None or np.array_equal(chosen.evaluation, reference.indices):
        return chosen
    if reference.indices.max() >= samples:
        raise DatasetInvalid("the fp32 reference was scored on another dataset", hint="Quantize fp32 again")
    others = np.setdiff1d(np.arange(samples, dtype=np.int64), reference.indices)
    if not len(others):
        return Split(reference.indices, reference.indices, "every sample evaluates, so calibration had to use them too")
    others = np.random.default_rng(recipe.seed).permutation(others)[: recipe.calibration_samples]
    notes = (
        f"{len(others)} of {recipe.calibration_samples} asked for calibrate"
        if len(others) < recipe.calibration_samples
        else ""
    )
    return Split(others, reference.indices, notes)


def _dataset(recipe: QuantizeRecipe, resolved: dict[str, Path], context: StageContext) -> Dataset:
    if "model.onnx" not in resolved:
        raise ArtifactMissing("the resolved artifact lacks model.onnx", hint="Run its resolve stage again")
    if "dataset.npz" not in resolved:
        raise DatasetInvalid("there is no dataset to calibrate and score on", hint="Set spec.dataset.uri")
    inputs = inputs_of(onnx.load_model(resolved["model.onnx"]))
    labels_required = recipe.metric != "cosine"
    dataset = load_dataset(resolved["dataset.npz"], inputs, context.limit_bytes, labels_required)
    check_classes(recipe.metric, dataset.labels)
    return dataset


@dataclass(frozen=True)
class _Made:
    """What became of a recipe, beside the model file."""

    scheme: str
    notes: list[str] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)


def _make(
    recipe: QuantizeRecipe,
    resolved: dict[str, Path],
    target: Path,
    dataset: Dataset,
    chosen: Split,
    context: StageContext,
) -> _Made:
    """Write the variant's model. Libraries are imported where needed: torch takes seconds that others need not wait."""
    source = resolved["model.onnx"]
    if recipe.precision == "fp32":
        shutil.copyfile(source, target)
        return _Made("float32")
    if recipe.method == "qat":
        from .encodings import ENCODINGS, write_overrides
        from .qat.stage import HISTORY, train_variant

        trained = train_variant(recipe, resolved, target, dataset, chosen.evaluation, context)
        return _Made(trained.scheme, [trained.notes], {HISTORY: trained.history, ENCODINGS: write_overrides(target)})
    if recipe.precision == "fp16":
        from .quantizer import to_fp16

        to_fp16(source, target)
        return _Made("float16")
    if recipe.method == "dynamic":
        from .dynamic import to_dynamic_int8

        return _Made("w8 dynamic", to_dynamic_int8(source, target))
    from .static import make_static

    variant = make_static(recipe, source, target, dataset, chosen, context.progress)
    return _Made(variant.scheme.name, variant.notes, variant.files)


def _facts(
    recipe: QuantizeRecipe,
    scheme: str,
    dataset: Dataset,
    chosen: Split,
    outputs: np.ndarray,
    reference: Reference | None,
    model: Path,
) -> VariantFacts:
    labels = None if dataset.labels is None else dataset.labels[chosen.evaluation]
    expected = None if reference is None else reference.outputs
    accuracy = score(recipe.metric, outputs, labels, expected)
    base = accuracy if expected is None else score(recipe.metric, expected, labels, None)
    return VariantFacts(
        precision=recipe.precision,
        method=recipe.method,
        calibration=(recipe.calibration or "minmax") if recipe.method == "static" else None,
        scheme=scheme,
        accuracy=accuracy,
        accuracy_drop=drop(recipe.metric, base.value, accuracy.value),
        drop_interval=None if expected is None else drop_interval(recipe.metric, outputs, expected, labels),
        size_bytes=model.stat().st_size,
        notes=chosen.notes,
    )
