"""Datasets: an npz file with one array per model input and `labels`. Objects are never unpickled.

Samples lie on disk and are read one at a time: a dataset may be larger than the pod's memory.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..api.errors import DatasetInvalid
from ..api.stages import TensorSpec
from .stored_array import StoredArray
from .untrusted import check_archive, reading

LABELS = "labels"
_MOST_ARRAYS = 1000
Array = NDArray[Any]
Headers = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Shape and type of each array."""
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Dataset:
    """Samples for each model input, first axis N, and labels [N] (None for label-free use)."""

    specs: tuple[TensorSpec, ...]
    arrays: dict[str, StoredArray | Array]
    labels: Array | None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def feed(self, index: int) -> dict[str, Array]:
        """One sample in the model's own shapes and types."""
        return {
            spec.name: np.ascontiguousarray(self.arrays[spec.name][index], dtype=spec.dtype).reshape(spec.shape)
            for spec in self.specs
        }

    @property
    def classes(self) -> int | None:
        """One more than the largest class label; None without integer labels."""
        if self.labels is None or not np.issubdtype(self.labels.dtype, np.integer) or self.labels.ndim != 1:
            return None
        return int(self.labels.max()) + 1


def load_dataset(path: Path, inputs: list[TensorSpec], limit_bytes: int, labels_required: bool = True) -> Dataset:
    """Read and check a dataset for a model with these inputs. Raises DatasetInvalid."""
    with reading("the dataset", DatasetInvalid, "Write it again by numpy.savez"):
        headers = _headers(path, limit_bytes)
        _check_names(headers, inputs, labels_required)
        count = _check_shapes(headers, inputs)
        _check_labels(headers, count)
        with np.load(path, allow_pickle=False) as file:
            labels = _flat(file[LABELS]) if LABELS in headers else None
            arrays = {spec.name: _stored(file.zip, f"{spec.name}.npy") for spec in inputs}
    for name, array in (arrays if labels is None else {**arrays, LABELS: labels}).items():
        _refuse_nan(name, array)
    return Dataset(tuple(inputs), arrays, labels)


def _flat(labels: Array) -> Array:
    """Class numbers [N, 1] are those of [N], as a column of a table is saved."""
    is_column = labels.ndim == 2 and labels.shape[1] == 1 and np.issubdtype(labels.dtype, np.integer)
    return labels[:, 0] if is_column else labels


def _stored(archive: zipfile.ZipFile, member: str) -> StoredArray | Array:
    with archive.open(member) as file:
        shape, is_fortran, dtype = _read_header(file)
        if not is_fortran:
            return StoredArray(file, shape, dtype)
    with archive.open(member) as file:  # samples that lie across each other have to be held whole
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _headers(path: Path, limit_bytes: int) -> Headers:
    """Shape and type of each array, before any is unpacked: a small file can unpack to terabytes."""
    if not zipfile.is_zipfile(path):
        raise DatasetInvalid(
            "the dataset is not a readable npz file", hint="Write it by numpy.savez, and upload it whole"
        )
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, "the dataset", DatasetInvalid, limit_bytes)
        if len(archive.infolist()) > _MOST_ARRAYS:
            raise DatasetInvalid(
                f"the dataset holds {len(archive.infolist())} arrays",
                hint=f"Keep one for each input and labels, at most {_MOST_ARRAYS}",
            )
        found: Headers = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in found:
                raise DatasetInvalid(
                    f"the dataset holds two arrays named {name}: which one is meant?", hint="Write it by numpy.savez"
                )
            found[name] = _header(archive, info)
        return found


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(info) as file:
        shape, _, dtype = _read_header(file)
    if dtype.hasobject:
        raise DatasetInvalid(
            f"the dataset's array {info.filename} holds Python objects, which can run code when loaded",
            hint="Save plain numeric arrays",
        )
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > info.file_size:
        raise ValueError(f"{info.filename} is shorter than its header says")
    return shape, dtype


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether values lie in Fortran's order, and type; the file then stands at the first value."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise ValueError(f"npy version {version}")
    shape, is_fortran, dtype = _HEADER_READERS[version](file)
    return shape, is_fortran, dtype


def _check_names(headers: dict[str, Any], inputs: list[TensorSpec], labels_required: bool) -> None:
    missing = [spec.name for spec in inputs if spec.name not in headers]
    found = ", ".join(sorted(headers)) or "nothing"
    if missing:
        raise DatasetInvalid(
            f"the dataset has no array named {', '.join(missing)} (it has {found})",
            hint="Name the arrays like the inputs",
        )
    if labels_required and LABELS not in headers:
        raise DatasetInvalid(
            f"the dataset has no array named labels (it has {found})",
            hint="Add labels [N], or use spec.dataset.metric: cosine, which needs none",
        )


def _check_shapes(headers: Headers, inputs: list[TensorSpec]) -> int:
    """The number of samples, the same in every array."""
    counts = {}
    for spec in inputs:
        shape, dtype = headers[spec.name]
        # batch 1 is the model's own; the samples may have it or not
        accepted = [tuple(spec.shape), tuple(spec.shape[1:])] if spec.shape[:1] == [1] else [tuple(spec.shape)]
        if shape[1:] not in accepted:
            raise DatasetInvalid(
                f"the dataset's {spec.name} has samples of shape {list(shape[1:])}, but the model takes {spec.shape}",
                hint=_shape_hint(shape[1:], accepted),
            )
        if not np.can_cast(dtype, spec.dtype, "safe"):
            raise DatasetInvalid(
                f"the dataset's {spec.name} is {dtype}, but the model takes {spec.dtype}", hint=f"Save {spec.dtype}"
            )
        counts[spec.name] = shape[0] if shape else 0
    if len(set(counts.values())) != 1:
        raise DatasetInvalid(f"the dataset's arrays differ in length ({counts})", hint="Give every sample every input")
    if 0 in counts.values():
        raise DatasetInvalid("the dataset is empty", hint="Give at least a few hundred samples")
    return next(iter(counts.values()))


def _shape_hint(shape: tuple[int, ...], accepted: list[tuple[int, ...]]) -> str:
    for wanted in accepted:
        if sorted(shape) == sorted(wanted):
            return f"The axes are in another order: transpose the samples to {list(wanted)}"
        if shape == wanted[1:] and wanted[0] > 1:
            return f"The model takes {wanted[0]} of these at once: export it with batch 1"
    return "Resize the samples as in training"


def _check_labels(headers: Headers, count: int) -> None:
    if LABELS in headers and headers[LABELS][1].kind not in "biuf":
        raise DatasetInvalid(
            f"the dataset's labels are {headers[LABELS][1]}, which is no number",
            hint="Save class numbers as int64, or the values to be met as float32",
        )
    if LABELS in headers and headers[LABELS][0][:1] != (count,):
        raise DatasetInvalid(
            f"the dataset has {count} samples, but labels of shape {list(headers[LABELS][0])}",
            hint="Give one label each",
        )


def _refuse_nan(name: str, array: StoredArray | Array) -> None:
    if not np.issubdtype(array.dtype, np.inexact):
        return
    for index in range(len(array)):
        if not np.isfinite(array[index]).all():
            raise DatasetInvalid(
                f"the dataset's {name} holds NaN or infinite values, first in sample {index}",
                hint="Leave such samples out",
            )
