"""Runs a compiled model on Qualcomm's HTP simulator: the target's arithmetic, not its speed."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...api.errors import ConversionFailed
from ..base import Arrays, Progress
from .arrays import load_arrays, save_arrays
from .child import CONTEXT_BINARY, CONTEXT_MODEL
from .compile import soc_job
from .process import ToolFailed, run_task
from .socs import Soc


def simulate_samples(
    compiled: Path, soc: Soc, samples: Sequence[Arrays], workdir: Path, progress: Progress, *, allow_cpu: bool
) -> list[Arrays]:
    """Outputs of each sample (arrays with the model's batch axis), in order; seconds per sample.

    Raises ConversionFailed with the simulator's own words, ConverterKilled.
    """
    with TemporaryDirectory(prefix="simulate-", dir=workdir) as name:
        directory = Path(name)
        # the provider may write beside the model; the compiled artifact stays as it was
        for file in (CONTEXT_MODEL, CONTEXT_BINARY):
            shutil.copyfile(compiled / file, directory / file)
        stacked = {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}
        save_arrays(directory / "inputs.npz", stacked)
        job = soc_job(soc, directory / CONTEXT_MODEL, allow_cpu=allow_cpu)
        try:
            run_task(job | {"task": "simulate", "directory": name}, directory, "simulate", progress)
        except ToolFailed as failure:
            raise ConversionFailed(f"the HTP simulator failed; {failure.why()}") from failure
        progress("simulate", len(samples), len(samples))
        outputs = load_arrays(directory / "outputs.npz")
    return [{key: array[index] for key, array in outputs.items()} for index in range(len(samples))]
