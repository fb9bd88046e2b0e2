"""The good fixtures are good, and each bad one is bad in the one way that its name says."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

import model_fixtures

LOADABLE = [
    model_fixtures.tiny_classifier,
    model_fixtures.layernorm_net,
    model_fixtures.with_unsupported_op,
    model_fixtures.with_uncompilable_op,
    model_fixtures.with_dynamic_axes,
]
TORCH_FORMATS = [model_fixtures.tiny_pt2, model_fixtures.torchscript]
BAD_DATASETS = [
    model_fixtures.dataset_without_labels,
    model_fixtures.dataset_of_other_shape,
    model_fixtures.dataset_with_fewer_labels,
    model_fixtures.dataset_with_nan,
    model_fixtures.empty_dataset,
]
Writer = Callable[[Path], Path]


def load_torch(path: Path, torchscript: bool) -> torch.nn.Module:
    if not torchscript:
        return torch.export.load(path).module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script: torch.nn.Module = torch.jit.load(str(path))
        return script


def images_and_labels(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    with np.load(model_fixtures.tiny_dataset(folder / "data.npz")) as arrays:
        return arrays["frames"], arrays["labels"]


@pytest.mark.parametrize("write", LOADABLE, ids=lambda writer: writer.__name__)
def test_a_loadable_onnx_model_tells_the_brightest_colour(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images, labels = images_and_labels(tmp_path)
    answers = [session.run(["logits"], {"frames": image[None]})[0].argmax() for image in images]
    assert answers == labels.tolist()


def test_only_the_dynamic_model_has_a_symbolic_axis(tmp_path: Path) -> None:
    dynamic = onnx.load(model_fixtures.with_dynamic_axes(tmp_path / "dynamic.onnx"))
    static = onnx.load(model_fixtures.tiny_classifier(tmp_path / "static.onnx"))
    batches = [model.graph.input[0].type.tensor_type.shape.dim[0] for model in (dynamic, static)]
    assert [(batch.dim_param, batch.dim_value) for batch in batches] == [("batch", 0), ("", 1)]


def test_the_onnx_checker_does_not_see_the_nan_weight(tmp_path: Path) -> None:
    path = model_fixtures.with_nan_weight(tmp_path / "model.onnx")
    onnx.checker.check_model(path)
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer]
    assert sum(np.isnan(weight).sum() for weight in weights) == 1


def test_a_truncated_onnx_model_does_not_parse(tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        onnx.load(model_fixtures.truncated(tmp_path / "model.onnx"))


@pytest.mark.parametrize("write", TORCH_FORMATS, ids=lambda writer: writer.__name__)
def test_a_torch_model_tells_the_brightest_colour(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "model")
    model = load_torch(path, write is model_fixtures.torchscript)
    images, labels = images_and_labels(tmp_path)
    answers = [model(torch.from_numpy(image[None])).argmax().item() for image in images]
    assert answers == labels.tolist()


def test_the_hostile_archive_touches_its_victim_only_when_unpickled(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path = model_fixtures.pickle_pt(tmp_path / "model.pt", victim)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert not victim.exists()
    torch.load(path, weights_only=False).close()
    assert victim.exists()


def test_the_hostile_pickle_stream_touches_its_victim_only_when_unpickled(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path = model_fixtures.pickle_pt(tmp_path / "model.pt", victim, zipped=False)
    assert not victim.exists()
    pickle.loads(path.read_bytes()).close()
    assert victim.exists()


def test_a_good_dataset_has_the_input_and_all_labels(tmp_path: Path) -> None:
    images, labels = images_and_labels(tmp_path)
    assert images.shape == (64, *model_fixtures.INPUT_SHAPE[1:])
    assert images.dtype == np.float32
    assert 0 <= images.min() <= images.max() <= 1
    assert set(labels.tolist()) == set(range(model_fixtures.CLASSES))


@pytest.mark.parametrize("write", BAD_DATASETS, ids=lambda writer: writer.__name__)
def test_a_bad_dataset_is_bad_in_one_way(write: Writer, tmp_path: Path) -> None:
    with np.load(write(tmp_path / "data.npz")) as arrays:
        frames, labels = arrays["frames"], arrays.get("labels")
    faults = {
        "dataset_without_labels": labels is None,
        "dataset_of_other_shape": frames.shape[1:] != model_fixtures.INPUT_SHAPE[1:],
        "dataset_with_fewer_labels": labels is not None and len(labels) != len(frames),
        "dataset_with_nan": bool(np.isnan(frames).any()),
        "empty_dataset": len(frames) == 0,
    }
    assert [name for name, present in faults.items() if present] == [write.__name__]


def test_an_array_of_objects_is_not_loaded_without_pickle(tmp_path: Path) -> None:
    path = model_fixtures.dataset_with_pickled_array(tmp_path / "data.npz")
    with np.load(path) as arrays, pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        arrays["frames"]
