"""Raw sample files and the input list that names them: headerless little-endian float32, one line per sample."""

from collections.abc import Iterable
from pathlib import Path

from ...api.errors import InvalidSpec
from ..base import Arrays
from ..samples import Shapes, checked

INPUT_LIST = "input_list.txt"


def write_inputs(directory: Path, shapes: Shapes, samples: Iterable[Arrays]) -> int:
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


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if ":=" in name or any(character.isspace() for character in name) or name.startswith(("#", "%")):
            # the list separates by blanks and `:=`, and begins comments by # and %
            raise InvalidSpec(f"the SDK's input lists cannot hold the input name {name!r}", hint="Rename the input")
