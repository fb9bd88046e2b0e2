"""The rungs of static quantization: equalize, learn rounding, calibrate, correct biases, mix precisions, quantize."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType

from ..api.errors import ConversionFailed, ToolchainUnavailable, UnsupportedOperators
from ..api.quantization import StaticRecipe
from ..api.stages import QuantizeRecipe
from ..toolchains.tidl.samples import CALIBRATION_FILE, save_samples
from ..toolchains.tidl.wide import FLOAT_FILE, wide_outputs
from . import quantizer
from .accumulators import coarse_layers
from .bias import correct_bias
from .calibration import Feed, calibrate
from .dataset import Dataset
from .encodings import ENCODINGS, decoded_weights, read_encodings, write_overrides
from .equalize import equalize
from .evaluate import first_outputs
from .feeds import Feeds
from .histogram import Range
from .layer_costs import LayerCosts, layer_costs, microseconds
from .linear_layers import Array, LinearLayer, uses
from .metrics import drop, score
from .mixed import Mixture, search
from .progress import Progress, silent
from .rounding import Grid, learn_rounding
from .sampling import Split
from .schemes import Overrides, Scheme, scheme_for, weight_overrides

SENSITIVITY = "sensitivity.json"
IMPORT_SAMPLES = 64
"""Most calibration samples that go with a variant for TI's tools; 20 are their own default."""
SEARCH_SAMPLES = 128
"""Most calibration samples that the search for a mixture counts its accuracy on."""


@dataclass
class StaticVariant:
    """A variant in the making: its model file and what came out."""

    recipe: QuantizeRecipe
    scheme: Scheme
    prepared: Path
    target: Path
    dataset: Dataset
    indices: list[int]
    """Calibration samples."""
    progress: Progress
    notes: list[str] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def wanted(self) -> StaticRecipe:
        """What the recipe asks for beyond the scheme."""
        return self.recipe.static or StaticRecipe()

    def feeds(self) -> Iterator[Feed]:
        """The calibration samples, one at a time."""
        return (self.dataset.feed(index) for index in self.indices)


def make_static(
    recipe: QuantizeRecipe, source: Path, target: Path, dataset: Dataset, chosen: Split, progress: Progress
) -> StaticVariant:
    """Write the QDQ model to `target`, and `encodings.json` (with a mixture `sensitivity.json`) beside it.

    Raises QuantizationFailed.
    """
    scheme = scheme_for(recipe.toolchain, recipe.precision, recipe.static)
    prepared = quantizer.prepare(source, target.with_name("prepared.onnx"), scheme)
    indices = [int(index) for index in chosen.calibration]
    variant = StaticVariant(recipe, scheme, prepared, target, dataset, indices, progress)
    with quantizer.failures("prepared for quantization"):
        _rewrite(prepared, _name_nodes)
    if variant.wanted.equalize:
        _rewrite(prepared, lambda model: _note_pairs(variant, model))
    overrides = _round(variant) if variant.wanted.rounding == "learned" else {}
    overrides = weight_overrides(scheme, onnx.load_model(prepared)) | overrides
    ranges = calibrate(
        prepared, variant.feeds(), len(indices), recipe.calibration or "minmax", scheme.activation_bits, progress
    )
    quantizer.quantize(prepared, target, scheme, ranges, overrides)
    if variant.wanted.correct_bias and variant.wanted.rounding != "learned":  # which keeps the means by itself
        _correct_biases(variant)
        quantizer.quantize(prepared, target, scheme, ranges, overrides)
    if variant.wanted.mixed:
        _mix(variant, ranges, overrides)
    if scheme.weight == QuantType.QInt4:
        _note_no_four_bits(variant)
    if scheme.htp:
        _note_coarse_layers(variant)
    if scheme.power_of_two and wide_outputs(_load(target)):
        _keep_for_import(variant)
    variant.files[ENCODINGS] = write_overrides(target)
    return variant


def _note_coarse_layers(variant: StaticVariant) -> None:
    coarse = coarse_layers(_load(variant.target))
    if coarse:
        worst = max(coarse, key=lambda name: coarse[name])
        variant.notes.append(
            f"{len(coarse)} layers sum coarser on the HTP than on the host (most: {worst}): "
            "only the accuracy on target counts"
        )


def _note_no_four_bits(variant: StaticVariant) -> None:
    if all(tensor.data_type != onnx.TensorProto.INT4 for tensor in _load(variant.target).graph.initializer):
        variant.notes.append("no weight is 4 bits wide: the net has no convolution, and others keep 8 bits")


def _keep_for_import(variant: StaticVariant) -> None:
    """TI's tools calibrate 16-bit layers themselves, from the float model and samples."""
    samples = [feed for feed, _ in zip(variant.feeds(), range(IMPORT_SAMPLES), strict=False)]
    variant.files[FLOAT_FILE] = variant.prepared.rename(variant.target.with_name(FLOAT_FILE))
    variant.files[CALIBRATION_FILE] = variant.target.with_name(CALIBRATION_FILE)
    save_samples(variant.files[CALIBRATION_FILE], samples)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Onnxruntime tells nodes apart by name where it converts between types."""
    names = [node.name for node in model.graph.node]
    for number, node in enumerate(model.graph.node):
        if not node.name or names.count(node.name) > 1:
            node.name = f"{node.op_type}_node_{number}"


def _note_pairs(variant: StaticVariant, model: onnx.ModelProto) -> None:
    variant.notes.append(f"{len(equalize(model))} pairs of layers equalized")


def _round(variant: StaticVariant) -> Overrides:
    def chooser(layer: LinearLayer) -> tuple[int, bool] | None:
        operator = layer.node.op_type
        return variant.scheme.weight_bits(operator), variant.scheme.per_channel and operator == "Conv"

    grids: dict[str, Grid] = {}
    _rewrite(
        variant.prepared,
        lambda model: grids.update(learn_rounding(model, variant.feeds(), chooser, variant.progress)),
    )
    variant.notes.append(f"rounding of {len(grids)} weights learned")
    return {name: _grid_override(grid) for name, grid in grids.items()}


def _grid_override(grid: Grid) -> list[dict[str, Any]]:
    kind = QuantType.QInt4 if grid.bits == 4 else QuantType.QInt8
    axis = {} if grid.axis is None else {"axis": grid.axis}
    return [
        {"quant_type": kind, "scale": scale, "zero_point": np.int8(0), **axis} for scale in np.atleast_1d(grid.scale)
    ]


def _correct_biases(variant: StaticVariant) -> None:
    rounded = dict(decoded_weights(_load(variant.target)))

    def correct(model: onnx.ModelProto) -> None:
        count = correct_bias(model, rounded, variant.feeds(), len(variant.indices), variant.progress)
        variant.notes.append(f"{count} biases corrected")

    _rewrite(variant.prepared, correct)


def _mix(variant: StaticVariant, ranges: dict[str, Range], overrides: Overrides) -> None:
    """Search, quantize again with the choice, and write the table."""
    indices = variant.indices[:SEARCH_SAMPLES]
    feeds = Feeds(lambda number: variant.dataset.feed(indices[number]), len(indices))
    reference = first_outputs(variant.prepared, variant.dataset, indices, silent)
    quantized, model = _load(variant.target), _load(variant.prepared)
    costs = _layer_costs(variant, ranges, overrides)
    mixture: Mixture = search(
        model,
        variant.scheme,
        read_encodings(quantized),
        dict(decoded_weights(quantized)),
        feeds,
        _drop_counter(variant, indices, reference),
        variant.wanted.max_accuracy_drop,
        variant.progress,
        costs.extra if costs else None,
    )
    ranges = ranges | _relu_ranges(model, ranges)
    quantizer.quantize(variant.prepared, variant.target, variant.scheme, ranges, overrides | mixture.overrides)
    variant.notes.append(mixture.summary)
    table = mixture.table() | (_priced(variant, costs) if costs else {})
    variant.files[SENSITIVITY] = _write_json(variant.target.with_name(SENSITIVITY), table)


def _layer_costs(variant: StaticVariant, ranges: dict[str, Range], overrides: Overrides) -> LayerCosts | None:
    """What wide activations cost by the HTP's compiler; None where it has nothing to say, which the notes then tell."""
    if not variant.scheme.htp or variant.scheme.weight == QuantType.QInt4:
        return None
    wide, workdir = variant.target.with_name("wide.onnx"), variant.target.with_name("prices")
    quantizer.quantize(variant.prepared, wide, variant.scheme.widened(), ranges, overrides)
    workdir.mkdir()
    try:
        return layer_costs(variant.target, wide, workdir, variant.progress)
    except (ToolchainUnavailable, UnsupportedOperators, ConversionFailed) as error:
        variant.notes.append(f"costs are multiplications: no cost model ({error.message[:120]})")
        return None


def _priced(variant: StaticVariant, costs: LayerCosts) -> dict[str, Any]:
    """The mixture's own time beside those of none and all wide."""
    mixed = microseconds(variant.target, variant.target.with_name("prices") / "mixed")
    variant.notes.append(
        f"cost model: {mixed:.0f} us, with 8 bits {costs.narrow_us:.0f}, with 16 bits throughout {costs.wide_us:.0f}"
    )
    return {"costModelUs": {"narrow": costs.narrow_us, "mixed": mixed, "wide": costs.wide_us}}


def _drop_counter(variant: StaticVariant, indices: list[int], reference: Array) -> Callable[[Array], float]:
    metric, labels = variant.recipe.metric, variant.dataset.labels
    chosen = None if labels is None else labels[indices]
    base = score(metric, reference, chosen, reference).value
    return lambda outputs: drop(metric, base, score(metric, outputs, chosen, reference).value)


def _relu_ranges(model: onnx.ModelProto, ranges: dict[str, Range]) -> dict[str, Range]:
    """What feeds a ReLU alone needs no negative values, and gets the ReLU's own range."""
    read = uses(model)
    relus = [node for node in model.graph.node if node.op_type == "Relu" and read[node.input[0]] == 1]
    return {node.input[0]: ranges[node.output[0]] for node in relus if node.output[0] in ranges}


def _load(path: Path) -> onnx.ModelProto:
    return onnx.load_model(path)


def _rewrite(path: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load_model(path)
    change(model)
    onnx.save_model(model, path)


def _write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path
