"""Read a model and its dataset from untrusted files: checked, exported to float ONNX, and run once."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from pydantic import TypeAdapter

from ...api.base import canonical_json
from ...api.errors import ModelInvalid, ModelShapeMismatch
from ...api.label_fit import are_scores, sample_shape
from ...api.stages import ModelFormat, TensorSpec
from ..dataset import Dataset, load_dataset
from ..export import to_onnx
from ..formats import model_format
from ..halves import holds_halves, widen
from ..labels import check_labels, label_facts
from ..onnx_file import check_weights, inputs_of
from ..session import cpu_session, run_once
from ..untrusted import reading

_SIGNATURE_LIMIT_BYTES = 3000
"""Inputs and outputs travel in the stage's answer of at most 4 KiB."""
_SPECS = TypeAdapter(list[TensorSpec] | None)


def read(job: dict[str, Any]) -> dict[str, Any]:
    """Write the job's `onnx` file, and give what ModelFacts tells of model and dataset. Raises DMSError.

    The dataset is checked against the model, and not changed.
    """
    declared, limit = _SPECS.validate_python(job["inputs"]), job["limit_bytes"]
    source, target = Path(job["model"]), Path(job["onnx"])
    with reading("the model file", ModelInvalid, "Upload it again, or export it again"):
        found: ModelFormat = model_format(source, job["format"], limit)
        model = to_onnx(source, found, declared, target.parent)
        if holds_halves(model):
            widen(model)
            declared = declared and [_widened(spec) for spec in declared]
        inputs = inputs_of(model)
        check_declared(declared, inputs)
        parameters = check_weights(model)
    onnx.save_model(model, target)
    dataset = load_dataset(Path(job["dataset"]), inputs, limit, job["labels_required"]) if job["dataset"] else None
    outputs = _smoke_run(target, inputs, dataset)
    _check_signature(inputs, outputs)
    classes = _classes(dataset, outputs[0]) if dataset and job["labels_required"] else None
    return {
        "format": found,
        "inputs": [spec.to_wire() for spec in inputs],
        "outputs": [spec.to_wire() for spec in outputs],
        "parameters": parameters,
        "dataset_samples": len(dataset) if dataset else None,
        "classes": classes,
        "labels": label_facts(dataset.labels).to_wire() if dataset and dataset.labels is not None else None,
    }


def check_declared(declared: list[TensorSpec] | None, found: list[TensorSpec]) -> None:
    """Raise ModelShapeMismatch when declared inputs differ from the model's own."""
    if declared is None or sorted(map(str, declared)) == sorted(map(str, found)):
        return
    raise ModelShapeMismatch(
        f"spec.model.inputs says {_listed(declared)}, but the model takes {_listed(found)}",
        hint="Correct spec.model.inputs, or leave it out",
    )


def _widened(spec: TensorSpec) -> TensorSpec:
    return spec.model_copy(update={"dtype": "float32"}) if spec.dtype == "float16" else spec


def _listed(specs: list[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.shape} {spec.dtype}" for spec in specs)[:400] or "none"


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
        if not description.name.isprintable():
            message = f"the output {description.name[:40]!r} has control characters in its name"
            raise ModelInvalid(message, hint="Rename it")
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


def _classes(dataset: Dataset, scores: TensorSpec) -> int | None:
    """How many classes the labels tell apart; None unless there is a class number per sample and a score per class."""
    labels, output = dataset.labels, sample_shape(scores.shape)
    if labels is None or labels.ndim != 1 or not are_scores(output):
        return None
    check_labels("top1", labels, output)
    return dataset.classes
