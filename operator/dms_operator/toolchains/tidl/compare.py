"""Predicts what TDA4VM's fixed point does to a float model: `python -m dms_operator.toolchains.tidl.compare`.

Takes the model (ONNX), a dataset (npz: one array per input, and `labels`), and prints accuracy and signal over noise
for 8 bits, 8 bits with the layers that deserve 16, and 16 bits. Provenance `estimated`.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..arguments import existing_file
from ..base import Arrays
from .fixed_point import Precision, Range, to_fixed_point
from .latency import estimate, seconds
from .layers import layers_of
from .mixed import choose, sensitivity
from .predict import Outputs, predict, signal_to_noise
from .ranges import ranges_of
from .samples import inputs_of
from .surgery import lowered

_PROBES = 4
"""Samples on which every layer's sensitivity is measured."""


def compare(
    model: onnx.ModelProto, samples: Sequence[Arrays], labels: NDArray[Any], calibration: int, factor: float
) -> list[tuple[str, float, float]]:
    """Rows of name, top-1 accuracy and signal over noise (dB); the first `calibration` samples calibrate only."""
    ready = lowered(model)
    ranges = ranges_of(ready, samples[:calibration])
    held, truth = samples[calibration:], labels[calibration:]
    reference = predict(ready, held, _silent)
    rows = [("float32", _accuracy(reference, truth), float("inf"))]
    for precision in (Precision(8), _mixed(ready, ranges, samples[:_PROBES], factor), Precision(16)):
        outputs = predict(to_fixed_point(ready, ranges, precision), held, _silent)
        noise = [signal_to_noise(wanted, found) for wanted, found in zip(reference, outputs, strict=True)]
        rows.append((precision.name, _accuracy(outputs, truth), float(np.mean(noise))))
    return rows


def _mixed(model: onnx.ModelProto, ranges: dict[str, Range], samples: Sequence[Arrays], factor: float) -> Precision:
    candidates = sensitivity(model, ranges, samples, _silent)
    return Precision(8, choose(candidates, seconds(estimate(layers_of(model))), factor))


def _accuracy(outputs: Sequence[Outputs], labels: NDArray[Any]) -> float:
    guesses = [int(np.argmax(next(iter(output.values())))) for output in outputs]
    return float(np.mean(np.array(guesses) == labels))


def _silent(step: str, done: int, total: int) -> None:
    """A table is all that is printed."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=existing_file)
    parser.add_argument("dataset", type=existing_file)
    parser.add_argument("--calibration", type=int, default=32)
    parser.add_argument("--factor", type=float, default=1.01, help="accepted latency over 8-bit latency")
    arguments = parser.parse_args()
    model = onnx.load(arguments.model)
    with np.load(arguments.dataset, allow_pickle=False) as archive:
        columns = {name: archive[name] for name in inputs_of(model)}
        labels = archive["labels"]
    samples = [{name: column[index][None] for name, column in columns.items()} for index in range(len(labels))]
    print("| scheme | top-1 | signal over noise |\n| --- | --- | --- |")
    for name, accuracy, noise in compare(model, samples, labels, arguments.calibration, arguments.factor):
        print(f"| {name} | {accuracy:.3f} | {noise:.1f} dB |")


if __name__ == "__main__":
    main()
