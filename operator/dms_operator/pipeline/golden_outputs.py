"""Makes golden inputs and outputs at the end of a benchmark, and derives how far a vehicle may be from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.stages import Provenance
from ..toolchains.base import Arrays
from ..toolchains.loading import open_cpu_session
from ..toolchains.onnx_graph import read_graph
from .golden import Golden, Tolerance, difference
from .rounding_floor import rounding_floor
from .subject import Subject

GOLDEN_SAMPLES = 4
"""One sample can agree by chance; these are the ones whose answers differ most."""
GOLDEN_BYTES = 16 << 20
"""Bound of the file: a vehicle downloads it with every revision. One sample is always there."""


def golden(
    found: Subject, compiled: str, samples: Sequence[Arrays], outputs: Sequence[Arrays] | None, provenance: Provenance
) -> Golden:
    """Choose samples and outputs of the compiled artifact; without outputs of the target, the variant's on this CPU.

    `samples` are the evaluation samples in the reference's order, `outputs` what the target answered to them.
    """
    if outputs is None:
        session, provenance = open_cpu_session(found.model), "host"
        outputs = [session.run(sample) for sample in samples]
    model = read_graph(found.model)
    first = model.graph.output[0].name
    answers = np.stack([np.asarray(each[first], np.float64).ravel() for each in outputs])
    chosen = farthest(answers, _room(samples[0], outputs[0]))
    deviations = _deviations(found, chosen, samples, outputs, first)
    floors = rounding_floor(model, found.tools.name, [outputs[index] for index in chosen])
    return Golden(
        compiled=compiled,
        provenance=provenance,
        inputs=[samples[index] for index in chosen],
        outputs=[outputs[index] for index in chosen],
        tolerances={name: _tolerance(deviations[name], floors[name], provenance) for name in outputs[0]},
    )


def farthest(answers: NDArray[np.float64], wanted: int) -> list[int]:
    """Rows that differ most from each other: the first, then always the one that is farthest from those chosen."""
    chosen = [0]
    distances = np.abs(answers - answers[0]).max(axis=1)
    distances[0] = -1.0
    while len(chosen) < min(wanted, len(answers)):
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.abs(answers - answers[chosen[-1]]).max(axis=1))
        distances[chosen] = -1.0
    return chosen


def _room(sample: Arrays, outputs: Arrays) -> int:
    """Samples that fit into the file."""
    size = sum(array.nbytes for part in (sample, outputs) for array in part.values())
    return max(1, min(GOLDEN_SAMPLES, GOLDEN_BYTES // max(1, size)))


def _deviations(
    found: Subject, chosen: Sequence[int], samples: Sequence[Arrays], outputs: Sequence[Arrays], first: str
) -> Mapping[str, tuple[float, int]]:
    """Largest difference to the fp32 reference and number of samples that it was found on, by output.

    The reference's answers are kept for the model's first output alone; others are computed for the chosen samples.
    """
    expected = found.reference.outputs
    of_first = max(
        difference(np.asarray(each[first]).reshape(expected.shape[1:]), expected[index])
        for index, each in enumerate(outputs)
    )
    others = [name for name in outputs[0] if name != first]
    deviations = {first: (of_first, len(outputs))}
    if others:
        session = open_cpu_session(found.original)
        answers = [session.run(samples[index]) for index in chosen]
        deviations |= {name: (_largest(outputs, answers, chosen, name), len(chosen)) for name in others}
    return deviations


def _largest(
    outputs: Sequence[Arrays], answers: Sequence[Mapping[str, NDArray[Any]]], chosen: Sequence[int], name: str
) -> float:
    return max(
        difference(np.asarray(outputs[index][name]), answer[name].reshape(np.shape(outputs[index][name])))
        for index, answer in zip(chosen, answers, strict=True)
    )


def _tolerance(deviation: tuple[float, int], floor: Tolerance, provenance: Provenance) -> Tolerance:
    """The artifact's own distance from the fp32 reference, which the gates let pass, but no less than rounding."""
    largest, samples = deviation
    if largest <= floor.limit:
        return floor
    return Tolerance(largest, f"largest deviation from the fp32 reference on {samples} samples, {provenance}")
