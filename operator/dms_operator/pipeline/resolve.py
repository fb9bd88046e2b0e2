"""Stage resolve: fetch model and dataset, check them, export the model to float ONNX with static shapes."""

from pathlib import Path

import numpy as np
import onnx

from ..api.base import canonical_json
from ..api.errors import DigestMismatch, ModelInvalid, ModelShapeMismatch
from ..api.stages import ModelFacts, ResolveRecipe, TensorSpec
from ..artifacts.sources import fetch
from ..artifacts.uris import shown
from .context import StageContext, StageOutput
from .dataset import Dataset, load_dataset
from .export import to_onnx
from .formats import model_format
from .onnx_file import check_weights, inputs_of
from .session import cpu_session, run_once
from .untrusted import reading

_SIGNATURE_LIMIT_BYTES = 3000
"""Inputs and outputs travel in the stage's answer of at most 4 KiB."""


def run(recipe: ResolveRecipe, context: StageContext) -> StageOutput:
    """Give `source`, `model.onnx` and, when there is a dataset, `dataset.npz`. Raises DMSError."""
    workdir = context.scratch("resolve")
    source, digest = _fetch_model(recipe, context, workdir / "source")
    context.progress("export", 0, 1)
    with reading("the model file", ModelInvalid, "Upload it again, or export it again"):
        found = model_format(source, recipe.model_format)
        model = to_onnx(source, found, recipe.inputs, workdir, context.limit_bytes)
        inputs = inputs_of(model)
        check_declared(recipe.inputs, inputs)
        parameters = check_weights(model)
    context.progress("export", 1, 1)
    files = {"source": source, "model.onnx": workdir / "model.onnx"}
    onnx.save_model(model, files["model.onnx"])
    dataset = None
    if recipe.dataset_uri is not None:
        files["dataset.npz"] = workdir / "dataset.npz"
        dataset = _fetch_dataset(recipe, inputs, context, files["dataset.npz"])
    outputs = _smoke_run(files["model.onnx"], inputs, dataset)
    _check_signature(inputs, outputs)
    return files, ModelFacts(
        digest=digest,
        format=found,
        inputs=inputs,
        outputs=outputs,
        parameters=parameters,
        size_bytes=source.stat().st_size,
        dataset_samples=len(dataset) if dataset else None,
        classes=dataset.classes if dataset else None,
    )


def check_declared(declared: list[TensorSpec] | None, found: list[TensorSpec]) -> None:
    """Raise ModelShapeMismatch when declared inputs differ from the model's own."""
    if declared is None or sorted(map(str, declared)) == sorted(map(str, found)):
        return
    raise ModelShapeMismatch(
        f"spec.model.inputs says {_listed(declared)}, but the model takes {_listed(found)}",
        hint="Correct spec.model.inputs, or leave it out",
    )


def _listed(specs: list[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.shape} {spec.dtype}" for spec in specs)[:400] or "none"


def _fetch_model(recipe: ResolveRecipe, context: StageContext, target: Path) -> tuple[Path, str]:
    digest = fetch(recipe.model_uri, target, context.roots, context.limit_bytes)
    context.progress("model", 1, 1)
    pinned = recipe.model_sha256
    if pinned and pinned.removeprefix("sha256:").lower() != digest.removeprefix("sha256:"):
        raise DigestMismatch(
            f"the model at {shown(recipe.model_uri)} has sha256 {digest.removeprefix('sha256:')}, "
            f"but spec.model.sha256 pins {pinned.removeprefix('sha256:')}",
            hint="Put the pinned file back, or pin the new one",
        )
    return target, digest


def _fetch_dataset(recipe: ResolveRecipe, inputs: list[TensorSpec], context: StageContext, target: Path) -> Dataset:
    assert recipe.dataset_uri is not None
    fetch(recipe.dataset_uri, target, context.roots, context.limit_bytes)
    dataset = load_dataset(target, inputs, context.limit_bytes, recipe.labels_required)
    context.progress("dataset", 1, 1)
    return dataset


def _smoke_run(model: Path, inputs: list[TensorSpec], dataset: Dataset | None) -> list[TensorSpec]:
    """Run one sample, which proves that the model runs, and tells the outputs' shapes."""
    feed = dataset.feed(0) if dataset else {spec.name: np.zeros(spec.shape, spec.dtype) for spec in inputs}
    session = cpu_session(model)
    values = run_once(session, feed)
    if not values:
        raise ModelInvalid("the model gives no output", hint="Let forward return a tensor")
    outputs = []
    for description, value in zip(session.get_outputs(), values, strict=True):
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise ModelInvalid(f"the output {description.name} is NaN or infinite", hint="Check the model's weights")
        outputs.append(TensorSpec(name=description.name, shape=list(value.shape) or [1], dtype=value.dtype.name))
    return outputs


def _check_signature(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> None:
    size = len(canonical_json([spec.to_wire() for spec in [*inputs, *outputs]]))
    if size > _SIGNATURE_LIMIT_BYTES:
        raise ModelInvalid(
            f"the names and shapes of {len(inputs)} inputs and {len(outputs)} outputs take {size} bytes, "
            f"more than {_SIGNATURE_LIMIT_BYTES}",
            hint="Give the model fewer or shorter-named inputs and outputs",
        )
