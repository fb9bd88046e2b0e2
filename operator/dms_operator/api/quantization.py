"""How a variant is quantized: the forms of static quantization, and how training goes. Parts of a recipe."""

from typing import Literal

from .base import Model


class QatRecipe(Model):
    """How quantization-aware training goes; part of its recipe alone, because nothing else depends on it."""

    epochs: int = 10
    learning_rate: float = 1e-4
    """Peak learning rate; it falls by a half cosine."""
    batch_size: int = 16
    max_accuracy_drop: float = 0.01
    """Training stops early once it stays inside this drop on held-out samples."""


class StaticForm(Model):
    """What static quantization does beyond the toolchain's own scheme; the defaults do nothing."""

    activation_bits: Literal[8, 16] | None = None
    """Width of activations; absent = the toolchain's own for the precision (8; for int4 weights 16)."""
    per_channel: bool | None = None
    """One scale per output channel of a weight, or one for all; absent = the toolchain's own."""
    symmetric_activations: bool | None = None
    """Ranges of activations that are symmetric around 0; absent = the toolchain's own."""
    equalize: bool = False
    """Cross-layer equalization before calibration."""
    correct_bias: bool = False
    """Add to each bias what rounding its weights takes from the layer's mean output on calibration samples."""
    rounding: Literal["nearest", "learned"] = "nearest"
    """learned: round weights for least error of the layers' outputs on calibration samples."""
    mixed: bool = False
    """Give the most sensitive layers more bits (activations 16, or int4 weights 8), as few as the drop allows."""


class StaticRecipe(StaticForm):
    """A form, and how far its search goes."""

    max_accuracy_drop: float = 0.01
    """What mixed precision aims at, on calibration samples; nothing else depends on it."""
