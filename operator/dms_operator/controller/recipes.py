"""From spec, settings and earlier results to recipes: what exactly a stage is asked."""

from ..api.capabilities import ToolchainName
from ..api.quantization import QatRecipe
from ..api.spec import DeploymentSpec, TargetSpec
from ..api.stages import BenchmarkRecipe, ConvertRecipe, QuantizeRecipe, Recipe, ResolveRecipe, recipe_digest
from .rungs import Rung, aim
from .settings import Settings

__all__ = [
    "Recipe",
    "benchmark_recipe",
    "convert_recipe",
    "quantize_recipe",
    "recipe_digest",
    "resolve_recipe",
]

LABEL_FREE = "cosine"
"""The metric that needs no labels."""


def resolve_recipe(spec: DeploymentSpec, settings: Settings) -> ResolveRecipe:
    """Fetch and check model and dataset."""
    return ResolveRecipe(
        image=settings.images.resolve,
        model_uri=spec.model.uri,
        model_sha256=spec.model.sha256,
        model_format=spec.model.format,
        inputs=spec.model.inputs,
        dataset_uri=spec.dataset.uri,
        labels_required=spec.dataset.metric != LABEL_FREE,
    )


def quantize_recipe(
    spec: DeploymentSpec,
    settings: Settings,
    rung: Rung,
    toolchain: ToolchainName,
    resolved: str,
    reference: str | None,
) -> QuantizeRecipe:
    """Make a variant; the fp32 reference has no reference and is the same for every toolchain."""
    return QuantizeRecipe(
        image=settings.images.quantize,
        resolved=resolved,
        reference=reference,
        precision=rung.precision,
        method=rung.method,
        calibration=rung.calibration,
        static=rung.static,
        toolchain=toolchain if reference else "onnxruntime",
        metric=spec.dataset.metric,
        calibration_samples=spec.dataset.calibration_samples,
        evaluation_samples=spec.dataset.evaluation_samples,
        qat=_qat_recipe(spec) if rung.method == "qat" else None,
    )


def _qat_recipe(spec: DeploymentSpec) -> QatRecipe:
    quantization = spec.quantization
    return QatRecipe(
        epochs=quantization.qat.epochs,
        learning_rate=quantization.qat.learning_rate,
        batch_size=quantization.qat.batch_size,
        max_accuracy_drop=aim(quantization),
    )


def convert_recipe(target: TargetSpec, image: str, variant: str) -> ConvertRecipe:
    """Compile a variant for a target's board."""
    return ConvertRecipe(
        image=image,
        variant=variant,
        board=target.board,
        toolchain=target.effective_toolchain(),
        options=dict(target.options),
    )


def benchmark_recipe(
    spec: DeploymentSpec, target: TargetSpec, image: str, resolved: str, variant: str, compiled: str
) -> BenchmarkRecipe:
    """Measure a compiled variant. Budgets are not part of it: they judge the result, they do not change it."""
    return BenchmarkRecipe(
        image=image,
        resolved=resolved,
        variant=variant,
        compiled=compiled,
        board=target.board,
        toolchain=target.effective_toolchain(),
        profile=spec.benchmark.profile,
        warmup=spec.benchmark.warmup,
        percentile=spec.benchmark.percentile,
        metric=spec.dataset.metric,
        simulation_samples=spec.benchmark.simulation_samples,
        end_to_end=spec.benchmark.end_to_end,
    )
