"""Runs compiled artifacts by TI's execution provider bit by bit on a PC, and knows a board when it is on one."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...api.errors import ConversionFailed
from ...api.target_options.tidl_socs import Soc
from ..base import Arrays, Progress
from ..tidl_session import PROVIDER, TidlSession, session_options
from .compile import MODEL
from .process import TaskFailed, run_task
from .samples import save_samples
from .tools import Tools

__all__ = ["PROVIDER", "TidlSession", "emulate", "execution_options", "is_board"]

COMPATIBLE = Path("/proc/device-tree/compatible")
"""Names the chip on a board with a device tree, such as `ti,j721e-sk\\0ti,j721e`."""
_EMULATION_SECONDS = 7200.0


def is_board(soc: Soc) -> bool:
    """Whether this machine is a board with the chip and TI's runtime."""
    if not COMPATIBLE.is_file():
        return False
    chips = COMPATIBLE.read_bytes().decode(errors="replace").split("\0")
    return any(chip.startswith(f"ti,{soc.name.lower()}") for chip in chips) and PROVIDER in _providers()


def execution_options(compiled: Path, tools: Tools | None = None) -> dict[str, str]:
    """Provider options for inference; a PC needs the tools as well."""
    return session_options(compiled) | ({"tidl_tools_path": str(tools.directory)} if tools else {})


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
