"""Learn from the reference net what to see in each frame: far more to learn from than one label for each clip."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from driver_monitor.network import reference


class Teacher:
    """The trained reference net, whose embedding of each frame another net follows."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Take the trained weights of `driver_monitor.network.reference`."""
        self._net = reference().eval()
        self._net.load_state_dict(weights)
        self._seen: Tensor | None = None

    @contextlib.contextmanager
    def watching(self, embed: nn.Module) -> Iterator[None]:
        """Remember what this layer of the other net gives, which is as wide as the reference net's embedding."""
        hook = embed.register_forward_hook(self._remember)
        try:
            yield
        finally:
            hook.remove()

    def loss(self, frames: Tensor) -> Tensor:
        """Return the squared error of the last embeddings for `frames`, as a share of the teacher's variance."""
        assert self._seen is not None, "the net that was watched has not run"
        with torch.no_grad():
            features = self._net.backbone(frames.flatten(0, 1)).flatten(1)
            wanted: Tensor = self._net.embed(features)
        error = nn.functional.mse_loss(self._seen.reshape(wanted.shape), wanted)
        return error / wanted.var()

    def _remember(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._seen = output
