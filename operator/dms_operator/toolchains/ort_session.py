"""One loaded ONNX Runtime session, whatever executes it."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .base import Arrays

NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
"""ONNX Runtime's name of an element type to numpy's."""


def cpu_options(threads: int | None = None) -> onnxruntime.SessionOptions:
    """Options of a session on the CPU: all cores that this process may use, unless told otherwise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    # spinning threads burn a container's CPU quota, and the throttling would show up as latency
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class OrtSession:
    """Runs static-shape models; `native` is the ONNX Runtime session underneath."""

    def __init__(self, native: onnxruntime.InferenceSession) -> None:
        # without this, Python reruns a failed inference on the CPU and says nothing
        native.disable_fallback()
        self.native = native
        self._outputs = [output.name for output in native.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run one inference: arrays of the model's input shapes to arrays of its output shapes, by name."""
        return dict(zip(self._outputs, self.native.run(self._outputs, dict(inputs)), strict=True))

    def query(self, inputs: Arrays) -> Callable[[], None]:
        """Bind inputs and preallocated outputs once; each call of the result is one inference."""
        binding = self.native.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)))
        for output in self.native.get_outputs():
            empty = np.empty(output.shape, NUMPY_TYPES[output.type])
            binding.bind_ortvalue_output(output.name, onnxruntime.OrtValue.ortvalue_from_numpy(empty))
        run = self.native.run_with_iobinding
        return lambda: run(binding)
