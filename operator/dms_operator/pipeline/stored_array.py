"""An array of a dataset on disk: its size is a matter of scratch space, not of memory."""

import math
import os
import shutil
import tempfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 20


class StoredArray:
    """An array [N, ...] in a file without a name, which ends with it; any thread reads samples."""

    def __init__(self, source: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Copy the values, in C order, from where `source` stands to its end.

        Raises OSError, and ValueError if there are fewer or more values than the shape says.
        """
        self.shape, self.dtype = shape, dtype
        self._file = tempfile.TemporaryFile(prefix="dms-dataset-")  # noqa: SIM115 - closed with this object
        shutil.copyfileobj(source, self._file, _CHUNK_BYTES)
        self._file.flush()
        wanted, found = math.prod(shape) * dtype.itemsize, self._file.tell()
        if found != wanted:
            raise ValueError(f"{found} bytes of values where shape {shape} takes {wanted}")

    def __len__(self) -> int:
        """Number of samples."""
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[Any]:
        """One sample, a copy. Raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        sample = np.empty(self.shape[1:], self.dtype)
        read = os.preadv(self._file.fileno(), [sample.reshape(-1).data.cast("B")], index * sample.nbytes)
        if read != sample.nbytes:
            raise OSError(f"{read} of a sample's {sample.nbytes} bytes could be read")
        return sample
