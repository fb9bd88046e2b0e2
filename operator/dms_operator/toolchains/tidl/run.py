"""Runs compiled artifacts by TI's execution provider: on the board for times, on a PC bit by bit for accuracy."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...api.errors import ConversionFailed, ToolchainUnavailable
from ..base import Arrays, Progress
from .benchmark_data import RunStatistics, parse_statistics
from .compile import MODEL
from .process import TaskFailed, run_task
from .samples import save_samples
from .socs import Soc
from .tools import Tools

PROVIDER = "TIDLExecutionProvider"
STATISTICS_VARIABLE = "TIDL_RT_PERFSTATS"
COMPATIBLE = Path("/proc/device-tree/compatible")
"""Names the chip on a board with a device tree, such as `ti,j721e-sk\\0ti,j721e`."""
_EMULATION_SECONDS = 7200.0


class TidlSession:
    """A model loaded on the board; `statistics` tells of its last run."""

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
        return parse_statistics(self._native.get_TI_benchmark_data())


def is_board(soc: Soc) -> bool:
    """Whether this machine is a board with the chip and TI's runtime."""
    if not COMPATIBLE.is_file():
        return False
    chips = COMPATIBLE.read_bytes().decode(errors="replace").split("\0")
    return any(chip.startswith(f"ti,{soc.name.lower()}") for chip in chips) and PROVIDER in _providers()


def open_session(compiled: Path) -> TidlSession:
    """Load a compiled directory. Raises ToolchainUnavailable without TI's runtime, ConversionFailed."""
    if PROVIDER not in _providers():
        raise ToolchainUnavailable(
            f"the onnxruntime on this machine has no {PROVIDER}",
            hint="Run on a TDA4VM board with TI's SDK, whose Python carries TI's onnxruntime",
        )
    import onnxruntime

    os.environ[STATISTICS_VARIABLE] = "1"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        native = onnxruntime.InferenceSession(
            str(compiled / MODEL),
            sess_options=options,
            providers=[PROVIDER, "CPUExecutionProvider"],
            provider_options=[execution_options(compiled), {}],
        )
    except Exception as error:  # ONNX Runtime's exception classes share no base but Exception
        raise ConversionFailed(f"TI's runtime cannot load the artifact: {str(error)[:500]}") from error
    if PROVIDER not in native.get_providers():
        raise ConversionFailed("TI's runtime loaded the model on the Arm cores alone")
    return TidlSession(native)


def execution_options(compiled: Path, tools: Tools | None = None) -> dict[str, str]:
    """Provider options for inference; a PC needs the tools as well."""
    options = {"artifacts_folder": str(compiled), "debug_level": "0"}
    return options | ({"tidl_tools_path": str(tools.directory)} if tools else {})


def emulate(compiled: Path, tools: Tools, samples: Sequence[Arrays], workdir: Path, progress: Progress) -> list[Arrays]:
    """Outputs of the C7x's arithmetic, computed bit by bit on this PC. Raises ConversionFailed, ConverterKilled."""
    with TemporaryDirectory(prefix="emulate-", dir=workdir) as name:
        directory = Path(name)
        save_samples(directory / "samples.npz", samples)
        job = {
            "task": "emulate",
            "model": str(compiled / MODEL),
            "samples": str(directory / "samples.npz"),
            "outputs": str(directory / "outputs.npz"),
            "options": execution_options(compiled, tools),
        }
        try:
            run_task(job, tools.python, directory, "simulate", progress, _EMULATION_SECONDS)
        except TaskFailed as failure:
            raise ConversionFailed(f"TIDL's PC emulation failed; {failure.why()}") from failure
        with np.load(directory / "outputs.npz", allow_pickle=False) as archive:
            names = [str(each) for each in archive["arr_0"]]
            columns = [archive[f"arr_{index}"] for index in range(1, len(names) + 1)]
    progress("simulate", len(samples), len(samples))
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _providers() -> list[str]:
    import onnxruntime

    found: list[str] = onnxruntime.get_available_providers()
    return found
