"""A dataset is read without unpickling, and every way in which it does not fit is named."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model_fixtures
from dms_operator.api.errors import DatasetInvalid
from dms_operator.api.stages import TensorSpec
from dms_operator.pipeline.dataset import load_dataset
from pipeline.stages import Stages, Writer, refused

FRAMES = TensorSpec(name="frames", shape=[1, 3, 16, 16])
LIMIT = 1 << 30
OPERATOR = Path(__file__).parents[2] / "operator"


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, allow_pickle=False, **arrays)
    return path


def test_a_sample_comes_in_the_models_shape_and_type(tmp_path: Path) -> None:
    frames = np.arange(4 * 3 * 16 * 16, dtype=np.uint8).reshape(4, 3, 16, 16)
    path = saved(tmp_path / "data.npz", frames=frames, labels=np.array([0, 2, 1, 0]), people=np.zeros(4))
    dataset = load_dataset(path, [FRAMES], LIMIT)
    feed = dataset.feed(2)["frames"]
    assert (feed.shape, feed.dtype) == ((1, 3, 16, 16), np.dtype(np.float32))
    assert (feed[0] == frames[2]).all()
    assert (len(dataset), dataset.classes, sorted(dataset.arrays)) == (4, 3, ["frames"])


def test_samples_may_carry_the_batch_axis(tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", frames=np.zeros((4, 1, 3, 16, 16), np.float32), labels=np.zeros(4, np.int64))
    assert load_dataset(path, [FRAMES], LIMIT).feed(0)["frames"].shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        (model_fixtures.dataset_without_labels, "no array named labels (it has frames)"),
        (model_fixtures.dataset_of_other_shape, "samples of shape [3, 8, 8], but the model takes [1, 3, 16, 16]"),
        (model_fixtures.dataset_with_fewer_labels, "16 samples, but labels of shape [15]"),
        (model_fixtures.empty_dataset, "empty"),
        (model_fixtures.dataset_with_nan, "NaN or infinite values, first in sample 3"),
        (model_fixtures.dataset_with_pickled_array, "holds Python objects"),
    ],
)
def test_each_bad_dataset_ends_resolve_with_its_own_message(writer: Writer, message: str, stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    assert message in refused(stages.resolve(model, writer(stages.root / "data.npz")), "DatasetInvalid")


def test_a_label_free_metric_takes_a_dataset_without_labels(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    dataset = model_fixtures.dataset_without_labels(stages.root / "data.npz")
    assert stages.resolve(model, dataset, labels_required=False).failure is None


def test_a_missing_dataset_is_named(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    assert "gone.npz" in refused(stages.resolve(model, stages.root / "gone.npz"), "SourceNotFound")


def test_arrays_named_unlike_the_inputs_are_listed(tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", images=np.zeros((4, 3, 16, 16), np.float32), labels=np.zeros(4, np.int64))
    with pytest.raises(DatasetInvalid, match=r"no array named frames \(it has images, labels\)"):
        load_dataset(path, [FRAMES], LIMIT)


def test_samples_with_their_channels_last_are_told_to_be_transposed(tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", frames=np.zeros((4, 16, 16, 3), np.float32), labels=np.zeros(4, np.int64))
    with pytest.raises(DatasetInvalid, match=r"samples of shape \[16, 16, 3\]") as raised:
        load_dataset(path, [FRAMES], LIMIT)
    assert raised.value.hint == "The axes are in another order: transpose the samples to [3, 16, 16]"


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.complex64])
def test_types_that_would_lose_precision_are_refused(dtype: type, tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", frames=np.zeros((4, 3, 16, 16), dtype), labels=np.zeros(4, np.int64))
    with pytest.raises(DatasetInvalid, match="Save float32"):
        load_dataset(path, [FRAMES], LIMIT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_found_wherever_they_are(value: float, tmp_path: Path) -> None:
    for name in ("frames", "labels"):
        arrays = {"frames": np.zeros((4, 3, 16, 16), np.float32), "labels": np.zeros(4, np.float32)}
        arrays[name][2] = value
        with pytest.raises(DatasetInvalid, match=f"{name} holds NaN or infinite values, first in sample 2"):
            load_dataset(saved(tmp_path / "data.npz", **arrays), [FRAMES], LIMIT)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_sample_is_the_one_that_was_saved(save: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "plain": rng.normal(size=(5, 2, 3)).astype(np.float32),
        "reversed": np.asfortranarray(rng.normal(size=(5, 2, 3)).astype(np.float32)),
        "swapped": rng.normal(size=(5, 2, 3)).astype(">f4"),
        "camera": rng.integers(0, 9, 5),
    }
    save(tmp_path / "data.npz", **arrays)
    shapes = {"plain": [1, 2, 3], "reversed": [1, 2, 3], "swapped": [1, 2, 3], "camera": [1]}
    specs = [
        TensorSpec.model_validate({"name": name, "shape": shape, "dtype": "int64" if name == "camera" else "float32"})
        for name, shape in shapes.items()
    ]
    dataset = load_dataset(tmp_path / "data.npz", specs, LIMIT, labels_required=False)
    for index in (4, 0, 2):
        for name, value in dataset.feed(index).items():
            assert value.flags.c_contiguous and (value == arrays[name][index]).all(), name
    with pytest.raises(IndexError):
        dataset.feed(5)


def test_an_array_with_more_values_than_its_header_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("frames.npy", "w") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (4, 3, 16, 16)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(np.zeros((5, 3, 16, 16), np.float32).tobytes())
    with pytest.raises(DatasetInvalid, match=r"damaged .* where shape \(4, 3, 16, 16\) takes 12288"):
        load_dataset(path, [FRAMES], LIMIT, labels_required=False)


LARGE = """
import resource, sys
from pathlib import Path
from dms_operator.api.stages import TensorSpec
from dms_operator.pipeline.dataset import load_dataset
spec = TensorSpec(name="frames", shape=[1, 3, 256, 256])
held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (held + (50 << 20), held + (50 << 20)))
dataset = load_dataset(Path(sys.argv[1]), [spec], 1 << 30)
print(sum(float(dataset.feed(index)["frames"][0, 0, 0, 0]) for index in range(len(dataset))))
"""


def test_a_dataset_may_be_larger_than_the_memory(tmp_path: Path) -> None:
    frames = np.ones((256, 3, 256, 256), np.float32)
    assert frames.nbytes > 3 * (50 << 20), "more than the process may take"
    path = saved(tmp_path / "data.npz", frames=frames, labels=np.arange(256) % 3)
    found = subprocess.run(
        [sys.executable, "-c", LARGE, str(path)], check=True, capture_output=True, text=True, cwd=OPERATOR
    )
    assert float(found.stdout) == 256


def test_inputs_of_different_length_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", a=np.zeros((4, 2), np.float32), b=np.zeros((5, 2), np.float32))
    specs = [TensorSpec(name="a", shape=[1, 2]), TensorSpec(name="b", shape=[1, 2])]
    with pytest.raises(DatasetInvalid, match="differ in length"):
        load_dataset(path, specs, LIMIT, labels_required=False)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, frames=np.zeros((2000, 3, 16, 16), np.float32), labels=np.zeros(2000, np.int64))
    assert path.stat().st_size < 100_000
    with pytest.raises(DatasetInvalid, match=r"unpacks to 616\d{4} bytes, more than the limit of 1000000"):
        load_dataset(path, [FRAMES], 1_000_000)


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "liar.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 3, 16, 16), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("frames.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        archive.writestr("labels.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(DatasetInvalid, match="shorter than its header says"):
        load_dataset(path, [FRAMES], LIMIT)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_npz_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(data)
    with pytest.raises(DatasetInvalid, match="not a readable npz"):
        load_dataset(path, [FRAMES], LIMIT)


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    path = model_fixtures.tiny_dataset(tmp_path / "data.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetInvalid):
        load_dataset(path, [FRAMES], LIMIT)


def test_a_flipped_byte_is_found_by_the_archives_checksum(tmp_path: Path) -> None:
    path = model_fixtures.tiny_dataset(tmp_path / "data.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DatasetInvalid):
        load_dataset(path, [FRAMES], LIMIT)


def test_two_members_that_mean_one_array_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", frames=np.zeros((4, 3, 16, 16), np.float32), labels=np.zeros(4, np.int64))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("frames", archive.read("frames.npy"))
    with pytest.raises(DatasetInvalid, match="two arrays named frames"):
        load_dataset(path, [FRAMES], LIMIT)


def test_an_archive_of_thousands_of_arrays_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", frames=np.zeros((4, 3, 16, 16), np.float32), labels=np.zeros(4, np.int64))
    with zipfile.ZipFile(path, "a") as archive:
        for index in range(1000):
            archive.writestr(f"other{index}.npy", b"")
    with pytest.raises(DatasetInvalid, match="holds 1002 arrays"):
        load_dataset(path, [FRAMES], LIMIT)


def test_an_archive_of_many_members_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(10_001):
            archive.writestr(f"other{index}.npy", b"")
    with pytest.raises(DatasetInvalid, match="holds 10001 members"):
        load_dataset(path, [FRAMES], LIMIT)


HEADERS = {
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 3, 16, 16), }",
    "code": "__import__('os').system('touch victim')",
    "nested": "[" * 5000 + "]" * 5000,
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (4, 3, 16, 16), }",
    "structured": "{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (4, 3, 16, 16), }",
    "of-arrays": "{'descr': ('<f4', (3, 16, 16)), 'fortran_order': False, 'shape': (4,), }",
    "no-bytes": "{'descr': '|V0', 'fortran_order': False, 'shape': (999999999999, 3, 16, 16), }",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_an_odd_header_is_refused_and_not_evaluated(header: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", labels=np.zeros(4, np.int64))
    text = header.encode() + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        head = b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text
        archive.writestr("frames.npy", head + bytes(4 * 3 * 16 * 16 * 8))
    with pytest.raises(DatasetInvalid):
        load_dataset(path, [FRAMES], LIMIT)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("labels", [np.array(["a"] * 4), np.zeros(4, complex), np.zeros(4, "datetime64[s]")])
def test_labels_that_are_no_numbers_are_refused(labels: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path / "data.npz", frames=np.zeros((4, 3, 16, 16), np.float32), labels=labels)
    with pytest.raises(DatasetInvalid, match="which is no number"):
        load_dataset(path, [FRAMES], LIMIT)
