"""Files that are not the model that their name promises."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model_fixtures.onnx_models import tiny_classifier


class _TouchesFileWhenUnpickled:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.victim), "w")


def pickle_pt(path: Path, victim: Path, *, zipped: bool = True) -> Path:
    """Write a pickled `.pt` that creates the file `victim` when unpickled, to prove that nobody does.

    `zipped` chooses the archive that `torch.save` writes; otherwise it is a bare pickle stream.
    """
    hostile = _TouchesFileWhenUnpickled(victim)
    if zipped:
        torch.save(hostile, path)
    else:
        path.write_bytes(pickle.dumps(hostile))
    return path


def truncated(path: Path) -> Path:
    """Write the first two thirds of a good ONNX file."""
    whole = tiny_classifier(path).read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    return path
