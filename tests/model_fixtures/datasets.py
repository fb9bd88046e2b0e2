"""Labelled npz datasets for the tiny models, good and bad: `frames`, and `labels` [N] int64."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_fixtures.onnx_models import CLASSES, INPUT_SHAPE

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


def tiny_dataset(path: Path, samples: int = 64, seed: int = 0) -> Path:
    """Write noisy images of shape [N, 3, 16, 16] in [0, 1], labelled with their brightest colour channel."""
    frames, labels = _brightest_colour(samples, seed)
    return _save(path, frames=frames, labels=labels)


def dataset_without_labels(path: Path, samples: int = 16) -> Path:
    """Write good images and no `labels`."""
    return _save(path, frames=_brightest_colour(samples)[0])


def dataset_of_other_shape(path: Path) -> Path:
    """Write images of 8 x 8 pixels, which the tiny models cannot take."""
    frames, labels = _brightest_colour()
    return _save(path, frames=frames[:, :, ::2, ::2], labels=labels)


def dataset_with_fewer_labels(path: Path) -> Path:
    """Write one label fewer than images."""
    frames, labels = _brightest_colour()
    return _save(path, frames=frames, labels=labels[:-1])


def empty_dataset(path: Path) -> Path:
    """Write the right arrays with no sample in them."""
    frames, labels = _brightest_colour(samples=0)
    return _save(path, frames=frames, labels=labels)


def dataset_with_nan(path: Path) -> Path:
    """Write good images but for one NaN pixel in sample 3."""
    frames, labels = _brightest_colour()
    frames[3, 0, 5, 5] = np.nan
    return _save(path, frames=frames, labels=labels)


def dataset_with_pickled_array(path: Path) -> Path:
    """Write images as an array of Python objects, which only a reader that unpickles could load."""
    frames, labels = _brightest_colour()
    objects = np.empty(len(frames), dtype=object)
    objects[:] = list(frames)
    return _save(path, frames=objects, labels=labels)


def _brightest_colour(samples: int = 16, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    labels = np.arange(samples, dtype=np.int64) % CLASSES
    frames = rng.uniform(0.2, 0.5, (samples, *INPUT_SHAPE[1:])).astype(np.float32)
    # a margin of 0.05 is well above the noise of a mean over 256 pixels (0.09 / 16): fp32 is always right
    frames[np.arange(samples), labels] += rng.uniform(0.05, 0.5, (samples, 1, 1)).astype(np.float32)
    return frames, labels


def _save(path: Path, **arrays: NDArray[Any]) -> Path:
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=True, **arrays)
    return path
