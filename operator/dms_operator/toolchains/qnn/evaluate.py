"""Runs any number of samples on the HTP simulator and compares them with the QDQ model's outputs, as they come."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...api.errors import ConversionFailed
from ..base import Arrays, Progress
from ..loading import open_cpu_session
from .agreement import Agreement
from .toolchain import Qnn


@dataclass(frozen=True)
class Evaluation:
    """Agreement with the QDQ model, and both models' first outputs [N, ...] in the order of the samples."""

    agreement: Agreement
    target: NDArray[Any]
    host: NDArray[Any]


def evaluate(
    compiled: Path, model: Path, samples: Iterable[Arrays], total: int, workdir: Path, progress: Progress
) -> Evaluation:
    """Simulate on all cores; `model` is the ONNX file that was compiled. `total` is for the progress reports alone.

    Raises ConversionFailed (also for no sample, or an output that the compiled model lost), ConverterKilled, StoreFull.
    """
    session, waiting = open_cpu_session(model), dict[int, Arrays]()
    agreement, target, host = Agreement(), dict[int, NDArray[Any]](), dict[int, NDArray[Any]]()

    def taken() -> Iterator[Arrays]:
        for index, sample in enumerate(samples):
            waiting[index] = session.run(sample)
            yield sample

    progress("simulate", 0, total)
    for index, found in Qnn().simulate_stream(compiled, taken(), workdir):
        expected = waiting.pop(index)
        _check_outputs(found, expected)
        agreement.add(found, expected)
        first = next(iter(expected))
        target[index], host[index] = found[first], expected[first]
        progress("simulate", agreement.samples, total)
    if not target:
        raise ConversionFailed("there is no sample to simulate")
    order = range(agreement.samples)
    return Evaluation(agreement, np.concatenate([target[i] for i in order]), np.concatenate([host[i] for i in order]))


def _check_outputs(found: Arrays, expected: Arrays) -> None:
    for name, reference in expected.items():
        if name not in found or found[name].shape != reference.shape:
            raise ConversionFailed(f"the compiled model has no output {name} of shape {list(reference.shape)}")
