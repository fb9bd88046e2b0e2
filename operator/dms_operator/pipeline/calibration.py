"""Value ranges of every activation, streamed: one sample's activations are held at a time, whatever their number.

ONNX Runtime's own histogram calibrators keep all activations of all samples (2.2 GB for 64 small images), so only
its way of taking ready ranges is used.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..api.errors import QuantizationFailed
from ..api.stages import Calibration
from .histogram import CHOICES, Counter, Range
from .memory import give_back_freed
from .progress import Progress
from .session import cpu_session, run_once

Feed = dict[str, NDArray[Any]]


def calibrate(
    model: Path, feeds: Iterable[Feed], samples: int, method: Calibration, bits: int, progress: Progress
) -> dict[str, Range]:
    """The range of every float activation and input of a model over `samples` feeds, in one pass.

    `bits` is the activation width that mse and entropy fit to. Raises QuantizationFailed on NaN activations.
    """
    watched = _Watched(model)
    counters: dict[str, Counter] = {}
    for done, feed in enumerate(feeds, start=1):
        for name, values in watched.run(feed):
            counter = counters.setdefault(name, Counter())
            counter.add(values, count=method != "minmax")
            _check_finite(name, counter)
        progress("calibrate", done, samples)
    del watched
    give_back_freed()
    if method == "minmax":
        return {name: (counter.low, counter.high) for name, counter in counters.items()}
    return {name: CHOICES[method](counter.histogram(), 2**bits) for name, counter in counters.items()}


def _check_finite(name: str, counter: Counter) -> None:
    if not (np.isfinite(counter.low) and np.isfinite(counter.high)):
        raise QuantizationFailed(f"the tensor {name} becomes NaN or infinite in calibration", hint="Check the model")


class _Watched:
    """A model all of whose float activations are outputs."""

    def __init__(self, model: Path) -> None:
        self._inputs, watching = _watching(model)
        self._session = cpu_session(watching, lean=True)
        watching.unlink()
        self._names = [output.name for output in self._session.get_outputs()]
        self._float = [output.type == "tensor(float)" for output in self._session.get_outputs()]

    def run(self, feed: Feed) -> Iterable[tuple[str, NDArray[Any]]]:
        """The values of every float input and activation that is not empty; one is held no longer than needed."""
        values = run_once(self._session, feed)[::-1]
        for name, wanted in zip(self._names, self._float, strict=True):
            value = values.pop()
            if wanted and value.size:
                yield name, value
        yield from ((name, feed[name]) for name in self._inputs if feed[name].size)


def _watching(path: Path) -> tuple[list[str], Path]:
    """The names of the float inputs, and a file of the model that gives every activation out.

    A file, because weights in memory would be there twice while ONNX Runtime reads its own copy. Messages of protobuf
    that follow each other are merged, so that the weights need not be written anew.
    """
    model = onnx.load_model(path)
    typed = {value.name for value in [*model.graph.value_info, *model.graph.output]}
    if not all(name in typed for node in model.graph.node for name in node.output if name):
        model = onnx.shape_inference.infer_shapes(model)
    given = {value.name for value in model.graph.output}
    produced = {name for node in model.graph.node for name in node.output} - given
    more = [value for value in model.graph.value_info if value.name in produced and _is_float(value)]
    inputs = [value.name for value in model.graph.input if _is_float(value)]
    watching = path.with_name(f"{path.stem}.watched.onnx")
    shutil.copyfile(path, watching)
    with watching.open("ab") as file:
        file.write(onnx.ModelProto(graph=onnx.GraphProto(output=more)).SerializeToString())
    return inputs, watching


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT)
