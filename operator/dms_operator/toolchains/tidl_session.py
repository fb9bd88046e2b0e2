"""A model loaded by TI's execution provider. It stands beside the package `tidl`, whose needs a board does not meet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..api.errors import ConversionFailed, ToolchainUnavailable
from .base import Arrays

if TYPE_CHECKING:
    from .tidl.benchmark_data import RunStatistics

PROVIDER = "TIDLExecutionProvider"
STATISTICS_VARIABLE = "TIDL_RT_PERFSTATS"


class TidlSession:
    """A loaded model; `statistics` tells of its last run."""

    def __init__(self, native: Any) -> None:
        self._native = native
        self._outputs = [output.name for output in native.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run one inference: arrays of the model's input shapes to arrays of its output shapes, by name."""
        return dict(zip(self._outputs, self._native.run(self._outputs, dict(inputs)), strict=True))

    def query(self, inputs: Arrays) -> Callable[[], None]:
        """Each call of the result is one inference. TI's provider copies inputs and outputs itself."""
        ready = {name: np.ascontiguousarray(array) for name, array in inputs.items()}

        def once() -> None:
            self._native.run(self._outputs, ready)

        return once

    def statistics(self) -> RunStatistics:
        """Times on the C7x and DDR traffic of the last run. Raises ConversionFailed."""
        from .tidl.benchmark_data import parse_statistics

        return parse_statistics(self._native.get_TI_benchmark_data())


def open_session(model: Path) -> TidlSession:
    """Load the model of a compiled directory. Raises ToolchainUnavailable without TI's runtime, ConversionFailed."""
    if PROVIDER not in onnxruntime.get_available_providers():
        raise ToolchainUnavailable(
            f"the onnxruntime on this machine has no {PROVIDER}",
            hint="Run on a TDA4VM board with TI's SDK, whose Python carries TI's onnxruntime",
        )
    os.environ[STATISTICS_VARIABLE] = "1"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        native = onnxruntime.InferenceSession(
            str(model),
            sess_options=options,
            providers=[PROVIDER, "CPUExecutionProvider"],
            provider_options=[session_options(model.parent), {}],
        )
    except Exception as error:  # ONNX Runtime's exception classes share no base but Exception
        raise ConversionFailed(f"TI's runtime cannot load the artifact: {str(error)[:500]}") from error
    if PROVIDER not in native.get_providers():
        raise ConversionFailed("TI's runtime loaded the model on the Arm cores alone")
    return TidlSession(native)


def session_options(compiled: Path) -> dict[str, str]:
    """Provider options for inference."""
    return {"artifacts_folder": str(compiled), "debug_level": "0"}
