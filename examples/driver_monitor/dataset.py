"""Labelled clips from a seed, and the npz file that a deployment's dataset is: `frames` and `labels`."""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from driver_monitor.behaviour import FRAMES, LABELS
from driver_monitor.canvas import SIZE
from driver_monitor.render import render
from driver_monitor.scene import sample_scene

Clips = NDArray[np.float32]
Labels = NDArray[np.int64]


def make_clip(index: int, seed: int) -> tuple[Clips, int]:
    """Return clip `index` of the dataset `seed`, [8, 3, 64, 64] in [0, 1], and its label.

    It does not depend on how many clips are made; every six clips in a row have all six labels.
    """
    block, place = divmod(index, len(LABELS))
    label = int(np.random.default_rng([seed, 0, block]).permutation(len(LABELS))[place])
    random = np.random.default_rng([seed, 1, index])
    return render(sample_scene(label, random), random), label


def make_dataset(samples: int, seed: int) -> tuple[Clips, Labels]:
    """Return `samples` clips [N, 8, 3, 64, 64] float32 in [0, 1] and their labels [N] int64."""
    frames = np.empty((samples, FRAMES, 3, SIZE, SIZE), np.float32)
    labels = np.empty(samples, np.int64)
    for index in range(samples):
        frames[index], labels[index] = make_clip(index, seed)
    return frames, labels


def write_dataset(path: Path, samples: int, seed: int) -> Path:
    """Write the clips as a compressed npz."""
    frames, labels = make_dataset(samples, seed)
    with path.open("wb") as file:
        np.savez_compressed(file, frames=frames, labels=labels)
    return path


def main() -> None:
    """Write a dataset: `python -m driver_monitor.dataset --samples 400 --seed 7 --output dms-val.npz`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("dms-val.npz"))
    arguments = parser.parse_args()
    path = write_dataset(arguments.output, arguments.samples, arguments.seed)
    print(f"{path}: {arguments.samples} clips, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
