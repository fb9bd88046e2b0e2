"""Stage resolve: fetch model and dataset, check them, export the model to float ONNX with static shapes."""

from pathlib import Path

from ..api.errors import DigestMismatch
from ..api.stages import ModelFacts, ResolveRecipe
from ..artifacts.sources import fetch
from ..artifacts.uris import shown
from .context import StageContext, StageOutput
from .reader.process import read_apart


def run(recipe: ResolveRecipe, context: StageContext) -> StageOutput:
    """Give `source`, `model.onnx` and, when there is a dataset, `dataset.npz`. Raises DMSError."""
    workdir = context.scratch("resolve")
    files = {"source": workdir / "source", "model.onnx": workdir / "model.onnx"}
    digest = _fetch_model(recipe, context, files["source"])
    if recipe.dataset_uri is not None:
        files["dataset.npz"] = workdir / "dataset.npz"
        fetch(recipe.dataset_uri, files["dataset.npz"], context.roots, context.limit_bytes)
        context.progress("dataset", 1, 1)
    context.progress("export", 0, 1)
    found = read_apart(_job(recipe, files, context.limit_bytes), workdir)
    context.progress("export", 1, 1)
    size = files["source"].stat().st_size
    return files, ModelFacts.model_validate({**found, "digest": digest, "size_bytes": size})


def _job(recipe: ResolveRecipe, files: dict[str, Path], limit_bytes: int) -> dict[str, object]:
    dataset = files.get("dataset.npz")
    return {
        "model": str(files["source"]),
        "format": recipe.model_format,
        "inputs": recipe.inputs and [spec.to_wire() for spec in recipe.inputs],
        "onnx": str(files["model.onnx"]),
        "dataset": dataset and str(dataset),
        "labels_required": recipe.labels_required,
        "limit_bytes": limit_bytes,
    }


def _fetch_model(recipe: ResolveRecipe, context: StageContext, target: Path) -> str:
    digest = fetch(recipe.model_uri, target, context.roots, context.limit_bytes)
    context.progress("model", 1, 1)
    pinned = recipe.model_sha256
    if pinned and pinned.removeprefix("sha256:").lower() != digest.removeprefix("sha256:"):
        raise DigestMismatch(
            f"the model at {shown(recipe.model_uri)} has sha256 {digest.removeprefix('sha256:')}, "
            f"but spec.model.sha256 pins {pinned.removeprefix('sha256:')}",
            hint="Put the pinned file back, or pin the new one",
        )
    return digest
