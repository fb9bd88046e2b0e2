"""The example's nets by name: how each is built, how it is trained, and where its trained program is committed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from driver_monitor import efficientnet, mobilenet, network
from driver_monitor.network import DriverMonitor
from driver_monitor.recurrent import RecurrentMonitor

Monitor = DriverMonitor | RecurrentMonitor
_MODELS = Path(__file__).parents[1] / "models"


@dataclass(frozen=True)
class Recipe:
    """What decides the weights. The held-out clips come from their own seed."""

    seed: int = 11
    clips: int = 6600
    epochs: int = 11
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    held_out_seed: int = 1_000_003
    held_out_clips: int = 1200
    batch: int = 32
    distilled_epochs: int = 0
    """Epochs after those in which the net also learns from the trained reference net (driver_monitor.distill)."""
    channels_last: bool = False
    """Train with channels last in memory, where depthwise convolutions take half the time on a CPU."""


@dataclass(frozen=True)
class Net:
    """One architecture: `reference` at 64x64 is trained and committed, `full_size` at 224x224 has random weights."""

    reference: Callable[[], Monitor]
    full_size: Callable[[], Monitor]
    recipe: Recipe
    program: Path


NETS = {
    "resnet18": Net(network.reference, network.full_size, Recipe(), _MODELS / "driver-monitor.pt2"),
    "mobilenet-v3-small": Net(
        mobilenet.reference,
        mobilenet.full_size,
        Recipe(epochs=8, distilled_epochs=8, learning_rate=2.5e-3, batch=16, channels_last=True),
        _MODELS / "driver-monitor-mobilenet-v3-small.pt2",
    ),
    "efficientnet-lite0": Net(
        efficientnet.reference,
        efficientnet.full_size,
        Recipe(epochs=5, distilled_epochs=12, learning_rate=2.5e-3, batch=16, channels_last=True),
        _MODELS / "driver-monitor-efficientnet-lite0.pt2",
    ),
}
