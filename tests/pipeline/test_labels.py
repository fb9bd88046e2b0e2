"""Labels fit the metric and the model or are named with what to save; a column of class numbers is taken as it is."""

from pathlib import Path

import numpy as np
import pytest

import model_fixtures
from dms_operator.api.errors import DatasetInvalid
from dms_operator.api.label_fit import sample_shape
from dms_operator.api.stages import LabelFacts, Metric, TensorSpec
from dms_operator.pipeline.dataset import load_dataset
from dms_operator.pipeline.labels import check_classes, check_labels
from pipeline.stages import Stages, refused, succeeded, variant_of

FRAMES = TensorSpec(name="frames", shape=[1, 3, 16, 16])


def saved(path: Path, labels: np.ndarray, frames: np.ndarray | None = None) -> Path:
    """Four samples."""
    np.savez(path, frames=np.zeros((4, 3, 16, 16), np.float32) if frames is None else frames, labels=labels)
    return path


NUMBERS = np.array([0, 1, 2, 1])


@pytest.mark.parametrize(
    ("metric", "labels", "message"),
    [
        ("top1", np.eye(3, dtype=np.int64)[NUMBERS], "Save labels.argmax(axis=1) if these are one-hot"),
        ("top1", np.eye(3, dtype=np.float32)[NUMBERS], "are float32 of shape [4, 3], not one class number per sample"),
        ("macroF1", NUMBERS.astype(np.float64), "Save labels as int64 [N]"),
        ("top1", np.ones((4, 2), np.int64), "are int64 of shape [4, 2], not one class number per sample"),
        ("top1", NUMBERS + 1, "the labels go from 1 to 3, but the model has the classes 0 to 2"),
        ("mae", NUMBERS.astype(np.float32), "labels of shape [] do not fit outputs of shape [3]"),
        ("mae", np.zeros((4, 2), np.float32), "labels of shape [2] do not fit outputs of shape [3]"),
    ],
)
def test_labels_that_do_not_fit_the_metric_are_named_with_what_to_save(
    metric: Metric, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(DatasetInvalid) as refused:
        check_labels(metric, labels, (3,))
    assert message in str(refused.value)


def test_resolve_tells_of_labels_what_the_operator_has_to_know(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    facts = succeeded(stages.resolve(model, saved(stages.root / "data.npz", np.eye(3, dtype=np.uint8)[NUMBERS]))).model
    assert facts is not None
    assert facts.labels == LabelFacts(dtype="uint8", shape=[3], low=0, high=1)


def test_a_column_of_class_numbers_is_taken_as_they_are(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    frames = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
    found = []
    for name, labels in (("row", NUMBERS), ("column", NUMBERS[:, None])):
        data = saved(stages.root / f"{name}.npz", labels, frames)
        resolved = succeeded(stages.resolve(model, data))
        assert resolved.artifact is not None and resolved.model is not None
        assert resolved.model.classes == 3
        found.append(variant_of(stages.quantize(resolved.artifact.digest)).accuracy)
    assert found[0] == found[1]


def test_values_to_be_met_may_be_a_column_or_not(tmp_path: Path) -> None:
    labels = np.linspace(0, 1, 4, dtype=np.float32)[:, None]
    path = saved(tmp_path / "data.npz", labels)
    found = load_dataset(path, [FRAMES], 1 << 30).labels
    assert found is not None
    assert found.shape == (4, 1)


@pytest.mark.parametrize("odd", [-5, 3, 2**62, 2**63 - 1])
def test_labels_that_are_no_class_of_the_model_end_in_resolve(odd: int, stages: Stages) -> None:
    labels = np.array([0, 1, 2, odd])
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    data = saved(stages.root / "data.npz", labels)
    message = refused(stages.resolve(model, data), "DatasetInvalid")
    assert f"the labels go from {labels.min()} to {labels.max()}, but the model has the classes 0 to 2" in message


def test_a_metric_without_labels_does_not_look_at_them(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    data = saved(stages.root / "data.npz", np.full(4, 2**62))
    facts = succeeded(stages.resolve(model, data, labels_required=False)).model
    assert facts is not None
    assert facts.classes is None


@pytest.mark.parametrize("output", [(3, 5), (1,), ()])
def test_a_first_output_that_is_no_score_per_class_is_told_for_class_metrics_alone(output: tuple[int, ...]) -> None:
    with pytest.raises(DatasetInvalid, match="is not one score per class"):
        check_labels("top1", NUMBERS, output)
    check_labels("mae", np.zeros((4, *output), np.float32), output)
    check_labels("cosine", NUMBERS, output)


def test_the_batch_axis_is_none_of_a_samples() -> None:
    assert [sample_shape(shape) for shape in ([1, 3], [1, 1], [1], [2, 3])] == [(3,), (1,), (1,), (2, 3)]


def test_numbers_of_one_class_prove_nothing_and_a_single_sample_may_be_of_one() -> None:
    with pytest.raises(DatasetInvalid, match="all labels are 2: a net that always answers this would score best"):
        check_classes("top1", np.full(4, 2))
    check_classes("top1", np.full(1, 2))
    check_classes("mae", np.full(4, 2))
