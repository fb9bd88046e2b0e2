"""Raw sample files and the input list that names them: headerless little-endian float32, one line per sample."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...api.errors import DatasetInvalid, InvalidSpec
from ..base import Arrays

INPUT_LIST = "input_list.txt"


def write_inputs(directory: Path, shapes: Mapping[str, Sequence[int]], samples: Iterable[Arrays]) -> int:
    """Write `inputs/<sample>_<input>.raw` in the model's own layout, and `input_list.txt`; gives the sample count.

    Raises DatasetInvalid for a sample of another shape, InvalidSpec for an input name that the list cannot hold.
    """
    _check_names(shapes)
    (directory / "inputs").mkdir(exist_ok=True)
    lines = []
    for number, sample in enumerate(samples):
        entries = []
        for place, (name, shape) in enumerate(shapes.items()):
            array = checked(name, shape, sample)
            path = f"inputs/{number}_{place}.raw"
            array.astype("<f4").tofile(directory / path)
            entries.append(f"{name}:={path}" if len(shapes) > 1 else path)
        lines.append(" ".join(entries))
    (directory / INPUT_LIST).write_text("\n".join(lines) + "\n")
    return len(lines)


def checked(name: str, shape: Sequence[int], sample: Arrays) -> np.ndarray:
    """One input's array in its shape. Raises DatasetInvalid, which recognises a transposed layout."""
    if name not in sample:
        raise DatasetInvalid(f"a sample has no array for the input {name}, only {', '.join(sample)}")
    array = np.asarray(sample[name])
    if array.shape == tuple(shape):
        return array
    message = f"a sample of {name} has shape {_written(array.shape)}, the model takes {_written(shape)}"
    if sorted(array.shape) == sorted(shape) and array.ndim == len(shape):
        raise DatasetInvalid(f"{message}: the layout is another", hint=f"Transpose the samples to {_layout(shape)}")
    raise DatasetInvalid(message)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if ":=" in name or any(character.isspace() for character in name) or name.startswith(("#", "%")):
            # the list separates by blanks and `:=`, and begins comments by # and %
            raise InvalidSpec(f"the SDK's input lists cannot hold the input name {name!r}", hint="Rename the input")


def _layout(shape: Sequence[int]) -> str:
    return f"channels first, {_written(shape)}" if len(shape) == 4 else _written(shape)


def _written(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
