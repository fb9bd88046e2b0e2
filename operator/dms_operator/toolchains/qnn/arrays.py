"""Named arrays in an npz file. Names are data, not keywords: a model's input may be called `file` or `a/b:0`."""

from pathlib import Path

import numpy as np

from ..base import Arrays


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write the names as the first array, then the arrays in that order."""
    np.savez(path, np.array(list(arrays)), *arrays.values(), allow_pickle=False)


def load_arrays(path: Path) -> Arrays:
    """Read what `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return {str(name): archive[f"arr_{index}"] for index, name in enumerate(archive["arr_0"], start=1)}
