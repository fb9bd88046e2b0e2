"""Run a model over samples with ONNX Runtime on the CPU, and keep the reference's outputs for comparison."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.errors import ArtifactMissing, QuantizationFailed
from .dataset import Dataset
from .machine import usable_cores
from .progress import Progress, silent
from .session import cpu_session, run_once

Array = NDArray[Any]
REFERENCE_FILE = "reference.npz"


@dataclass(frozen=True)
class Reference:
    """The fp32 model's first output [N, ...] on the evaluation samples, whose numbers in the dataset are `indices`."""

    indices: NDArray[np.int64]
    outputs: Array

    def save(self, path: Path) -> None:
        """Write as npz."""
        np.savez(path, indices=self.indices, outputs=self.outputs)

    @classmethod
    def load(cls, files: dict[str, Path]) -> "Reference":
        """Read from the files of a variant's artifact. Raises ArtifactMissing."""
        if REFERENCE_FILE not in files:
            raise ArtifactMissing(f"the variant's artifact lacks {REFERENCE_FILE}", hint="Run its quantize stage again")
        with np.load(files[REFERENCE_FILE], allow_pickle=False) as file:
            return cls(file["indices"], file["outputs"])


def first_outputs(
    model: Path, dataset: Dataset, indices: Iterable[int], progress: Progress = silent, step: str = "evaluate"
) -> Array:
    """The model's first output for each sample, shape [N, *output shape without batch 1], float outputs as float32.

    Raises ModelInvalid when the model does not run, QuantizationFailed when an output is NaN.
    """
    # one sample per core: small models gain nothing from many threads for one
    session = cpu_session(model, threads=1)

    def value(index: int) -> Array:
        return _checked(run_once(session, dataset.feed(index))[0], index)

    numbers = [int(index) for index in indices]
    values = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for done, found in enumerate(pool.map(value, numbers), start=1):
            values.append(found)
            progress(step, done, len(numbers))
    return np.stack(values)


def _checked(value: Array, index: int) -> Array:
    if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
        raise QuantizationFailed(
            f"the variant gives NaN or infinite values on sample {index}", hint="Use another precision"
        )
    return value[0] if value.ndim > 1 and value.shape[0] == 1 else value
