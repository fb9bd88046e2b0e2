"""Camera to decision: the frame's way into the model's input, and from the answer to a decision, in numpy.

The frames are the dataset's samples, enlarged to the camera's size: what is timed does the work of the vehicle, with
content of the dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..api import frames
from ..api.errors import InvalidSpec
from ..toolchains.base import Arrays, Session

if TYPE_CHECKING:  # a board has no pydantic
    from ..api.end_to_end import EndToEnd
    from ..api.stages import TensorSpec

Array = NDArray[Any]

SMOOTHED = 5
"""Answers that a decision is averaged over."""


def image_input(wanted: EndToEnd, specs: tuple[TensorSpec, ...]) -> TensorSpec:
    """The input that frames go to. Raises InvalidSpec when there is none, or mean and std do not fit it."""
    shapes = {spec.name: spec.shape for spec in specs}
    if why := frames.refusal(wanted.mean, wanted.std, shapes):
        raise InvalidSpec(why)
    return next(spec for spec in specs if spec.name == frames.image_input(shapes))


class Preprocessor:
    """Resizes, normalises and windows frames; all arrays are made once."""

    def __init__(self, wanted: EndToEnd, spec: TensorSpec) -> None:
        channels, height, width = spec.shape[-3:]
        self._rows, self._row_share = _grid(wanted.height, height)
        self._columns, self._column_share = _grid(wanted.width, width)
        std, mean = (np.broadcast_to(np.array(each, np.float32), channels) for each in (wanted.std, wanted.mean))
        self._scale, self._shift = 1 / (255 * std), mean / std
        self._window = np.zeros(spec.shape, dtype=spec.dtype)

    def __call__(self, frame: Array) -> Array:
        """The model's input after this frame [height, width, C] uint8; frames of a window move up by one."""
        small = self._resized(frame) * self._scale - self._shift
        latest = small.transpose(2, 0, 1)
        if self._window.ndim == 5:
            self._window[0, :-1] = self._window[0, 1:]
            self._window[0, -1] = latest
        else:
            self._window[0] = latest
        return self._window

    def _resized(self, frame: Array) -> Array:
        """Bilinear, pixel centres aligned as in OpenCV's and Pillow's resize."""
        upper, lower = self._rows
        left, right = self._columns
        share = self._row_share[:, None, None]
        lines = frame[upper].astype(np.float32) * (1 - share) + frame[lower].astype(np.float32) * share
        across = self._column_share[None, :, None]
        resized: Array = lines[:, left] * (1 - across) + lines[:, right] * across
        return resized


def _grid(source: int, target: int) -> tuple[tuple[Array, Array], Array]:
    """For each target pixel its two neighbours in the source, and the share of the second."""
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    first = np.floor(centres).astype(np.intp)
    return (first, np.minimum(first + 1, source - 1)), (centres - first).astype(np.float32)


class Postprocessor:
    """Softmax, mean over the last answers, largest class; or nothing."""

    def __init__(self, wanted: EndToEnd) -> None:
        self._decides = wanted.decision == "argmax"
        self._recent: list[Array] = []

    def __call__(self, answer: Array) -> int | None:
        """The decision after this answer (the model's first output)."""
        if not self._decides:
            return None
        scores = np.exp(answer - answer.max())
        self._recent = [*self._recent[1 - SMOOTHED :], (scores / scores.sum()).reshape(-1)]
        return int(np.mean(self._recent, axis=0).argmax())


def camera_frame(sample: Array, wanted: EndToEnd) -> Array:
    """The last frame of a sample [.., C, H, W] as the camera would give it: [height, width, C] uint8."""
    image = sample.reshape(-1, *sample.shape[-3:])[-1].transpose(1, 2, 0).astype(np.float32)
    image = image * np.array(wanted.std, np.float32) + np.array(wanted.mean, np.float32)
    pixels = np.clip(image * 255, 0, 255).astype(np.uint8)
    rows = np.arange(wanted.height) * pixels.shape[0] // wanted.height
    columns = np.arange(wanted.width) * pixels.shape[1] // wanted.width
    return np.ascontiguousarray(pixels[rows][:, columns])


def camera_queries(
    wanted: EndToEnd, specs: tuple[TensorSpec, ...], samples: list[Arrays], session: Session | None, answer: Array
) -> list[Callable[[], None]]:
    """One query per sample: frame to decision. Without a session `answer` stands for the network, which is left out.

    Raises InvalidSpec when no input takes frames.
    """
    spec = image_input(wanted, specs)
    prepare, decide = Preprocessor(wanted, spec), Postprocessor(wanted)

    def query(frame: Array, others: Arrays) -> None:
        feed = {**others, spec.name: prepare(frame)}
        decide(answer if session is None else next(iter(session.run(feed).values())))

    def bound(sample: Arrays) -> Callable[[], None]:
        frame = camera_frame(np.asarray(sample[spec.name]), wanted)
        return lambda: query(frame, sample)

    return [bound(sample) for sample in samples]
