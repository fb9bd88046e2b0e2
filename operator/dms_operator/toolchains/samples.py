"""Checks of samples against a model's inputs, with a message that recognises a transposed layout."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.errors import DatasetInvalid
from .base import Arrays
from .onnx_graph import read_graph

Shapes = Mapping[str, Sequence[int]]
"""Input name to static shape."""


def input_shapes(model: Path) -> dict[str, list[int]]:
    """Static shapes of an ONNX file's inputs."""
    inputs = read_graph(model).graph.input
    return {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inputs}


def checked_samples(shapes: Shapes, samples: Iterable[Arrays]) -> Iterator[Arrays]:
    """Pass the samples on, each checked when it is taken. Raises DatasetInvalid."""
    for sample in samples:
        yield {name: checked(name, shape, sample) for name, shape in shapes.items()}


def checked(name: str, shape: Sequence[int], sample: Arrays) -> NDArray[Any]:
    """One input's array. Raises DatasetInvalid when it is missing or of another shape."""
    if name not in sample:
        raise DatasetInvalid(f"a sample has no array for the input {name}, only {', '.join(sample)}")
    array = np.asarray(sample[name])
    if array.shape == tuple(shape):
        return array
    message = f"a sample of {name} has shape {_written(array.shape)}, the model takes {_written(shape)}"
    if sorted(array.shape) == sorted(shape):
        layout = f"channels first, {_written(shape)}" if len(shape) == 4 else _written(shape)
        raise DatasetInvalid(f"{message}: the layout is another", hint=f"Transpose the samples to {layout}")
    raise DatasetInvalid(message)


def _written(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
