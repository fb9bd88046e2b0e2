"""Anti-aliased shapes on all frames of a clip at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver_monitor.behaviour import FRAMES
from driver_monitor.scene import Colour

SIZE = 64

Array = NDArray[np.floating[Any]]  # always float32; numpy's types widen it on the way
Number = float | Array

_AXIS = np.linspace(-1, 1, SIZE, dtype=np.float32)
IMAGE_X: Array = np.broadcast_to(_AXIS[None, None, :], (FRAMES, SIZE, SIZE))
IMAGE_Y: Array = np.broadcast_to(_AXIS[None, :, None], (FRAMES, SIZE, SIZE))


def per_frame(timeline: Array) -> Array:
    """Shape a timeline [8] so that it broadcasts over pixels: [8, 1, 1]."""
    return timeline[:, None, None].astype(np.float32)


@dataclass(frozen=True)
class Plane:
    """Coordinates of every pixel, [8, 64, 64], in the unit of the shapes drawn on it; `pixels` is that unit's size."""

    x: Array
    y: Array
    pixels: float

    def ellipse(self, x: Number, y: Number, width: Number, height: Number) -> Array:
        """Cover [8, 64, 64] of the ellipse around (x, y) with the given half axes, soft over one pixel."""
        across, along = (self.x - x) / width, (self.y - y) / height
        distance = np.sqrt(across * across + along * along)
        cover: Array = np.clip(0.5 + (1 - distance) * (np.minimum(width, height) * self.pixels), 0, 1)
        return cover

    def box(self, x: Number, y: Number, width: Number, height: Number, turn: float = 0.0) -> Array:
        """Cover [8, 64, 64] of the box around (x, y) with the given half sides, turned by `turn` radians."""
        dx, dy = self.x - x, self.y - y
        cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        inside = np.minimum(
            width - np.abs(cosine * dx + sine * dy),
            height - np.abs(cosine * dy - sine * dx),
        )
        return np.clip(0.5 + inside * self.pixels, 0, 1)


IMAGE = Plane(IMAGE_X, IMAGE_Y, SIZE / 2)


def head_plane(x: Array, y: Array, scale: float, roll: Array) -> Plane:
    """Coordinates around a head whose centre (timelines x, y), half height `scale` and `roll` are given."""
    dx, dy = IMAGE_X - per_frame(x), IMAGE_Y - per_frame(y)
    cosine, sine = per_frame(np.cos(roll)), per_frame(np.sin(roll))
    return Plane((cosine * dx + sine * dy) / scale, (cosine * dy - sine * dx) / scale, scale * SIZE / 2)


def paint(clip: Array, cover: Array, colour: Colour, opacity: Number = 1.0) -> None:
    """Blend `colour` into `clip` [8, 3, 64, 64] in place where `cover` [8, 64, 64] says."""
    weight = cover * opacity
    for channel, value in enumerate(colour):
        clip[:, channel] += weight * (np.float32(value) - clip[:, channel])
