"""Calibration samples beside a variant's model, and inputs for TI's process: checked before they are used."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ...api.errors import DatasetInvalid
from ..base import Arrays

CALIBRATION_FILE = "calibration.npz"
"""In a variant's artifact: names as the first array, then one array [samples, *input shape] per name."""


def load_samples(path: Path, frames: int) -> list[dict[str, NDArray[Any]]] | None:
    """The first `frames` samples of a file that `save_samples` wrote; None without a file. Raises DatasetInvalid."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [str(name) for name in archive["arr_0"]]
            columns = [archive[f"arr_{index}"] for index in range(1, len(names) + 1)]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetInvalid(f"the calibration samples cannot be read ({error})", hint="Quantize again") from error
    count = min([frames, *(len(column) for column in columns)])
    return [dict(zip(names, (column[index] for column in columns), strict=True)) for index in range(count)]


def save_samples(path: Path, samples: Sequence[Arrays]) -> None:
    """Write samples for `load_samples` and for TI's Python; names are data, not keywords."""
    names = list(samples[0])
    columns = [np.stack([sample[name] for sample in samples]) for name in names]
    np.savez(path, np.array(names), *columns)


def zeros_for(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """One sample of zeros: a QDQ model brings its own ranges, and TI's provider only waits for a run."""
    return {name: np.zeros(shape, dtype) for name, (shape, dtype) in inputs_of(model).items()}


def inputs_of(model: onnx.ModelProto) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and element type per input. Raises DatasetInvalid for inputs without a static shape."""
    weights = {tensor.name for tensor in model.graph.initializer}
    found = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        if value.name in weights:
            continue
        if not all(dim.HasField("dim_value") for dim in kind.shape.dim):
            raise DatasetInvalid(f"the input {value.name} has no static shape", hint="Export with static shapes")
        shape = tuple(dim.dim_value for dim in kind.shape.dim)
        found[value.name] = (shape, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))
    return found


def check_samples(samples: Sequence[Arrays], model: onnx.ModelProto) -> None:
    """Hold samples against the model's inputs. Raises DatasetInvalid, which names a layout turned round."""
    if not samples:
        raise DatasetInvalid("there is no calibration sample", hint="Raise spec.dataset.calibrationSamples")
    wanted = inputs_of(model)
    for number, sample in enumerate(samples):
        if set(sample) != set(wanted):
            raise DatasetInvalid(
                f"calibration sample {number} has the inputs {', '.join(sorted(sample))}, the model {', '.join(wanted)}"
            )
        for name, (shape, dtype) in wanted.items():
            _check_array(f"calibration sample {number}, input {name}", np.asarray(sample[name]), shape, dtype)


def _check_array(what: str, array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if array.shape != shape:
        hint = "Give samples with a batch axis, in the model's own shape"
        if len(shape) >= 4 and array.shape == (*shape[:-3], *shape[-2:], shape[-3]):
            hint = f"These are channels last (NHWC); the model wants channels first: transpose to {list(shape)}"
        raise DatasetInvalid(f"{what}: shape {list(array.shape)} instead of {list(shape)}", hint=hint)
    if array.dtype != dtype:
        raise DatasetInvalid(f"{what}: {array.dtype} instead of {dtype}", hint="Preprocess as for the model itself")
    if np.issubdtype(dtype, np.floating) and not np.isfinite(array).all():
        raise DatasetInvalid(f"{what}: NaN or infinite values")
