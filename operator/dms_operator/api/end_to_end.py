"""Camera to decision: what is done to a frame before the network, and to its answer afterwards."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from .base import Model
from .frames import refusal

Channel = Annotated[float, Field(ge=-1000, le=1000)]
Scale = Annotated[float, Field(gt=0, le=1000)]


class EndToEnd(Model):
    """Pre- and post-processing that is timed together with the network.

    An 8-bit RGB frame is resized (bilinear), normalised to `(value / 255 - mean) / std`, put into channels-first
    order and, where the model takes several frames, appended to a sliding window.
    """

    width: int = Field(default=1280, ge=16, le=8192)
    """Width of the camera's frames in pixels."""
    height: int = Field(default=800, ge=16, le=8192)
    """Height of the camera's frames in pixels."""
    mean: list[Channel] = Field(default=[0.0], min_length=1, max_length=4)
    """Subtracted from each channel; one value serves all channels."""
    std: list[Scale] = Field(default=[1.0], min_length=1, max_length=4)
    """Divides each channel; one value serves all channels."""
    decision: Literal["argmax", "none"] = "argmax"
    """argmax (softmax, smoothed over 5 answers, largest class) or none (the raw answer is the decision)."""

    def refusal(self, shapes: Mapping[str, Sequence[int]]) -> str:
        """Why it cannot be timed for a model with these input shapes; empty when it can."""
        return refusal(self.mean, self.std, shapes)
