"""The tiny classifier in the two torch formats that a deployment may name."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from model_fixtures.onnx_models import CLASSES, INPUT_SHAPE


class BrightestColour(nn.Module):
    """Tell which colour channel of `frames` [1, 3, 16, 16] is brightest: logits [1, 3]."""

    def __init__(self) -> None:
        """Set the weights by hand."""
        super().__init__()
        self.conv = nn.Conv2d(3, CLASSES, 3, padding=1, bias=False)
        self.head = nn.Linear(CLASSES, CLASSES)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(CLASSES)[:, :, None, None].expand(CLASSES, 3, 3, 3) / 9)
            self.head.weight.copy_(4 * torch.eye(CLASSES))
            self.head.bias.zero_()

    def forward(self, frames: Tensor) -> Tensor:
        """Return the mean of each colour channel, scaled, as logits."""
        logits: Tensor = self.head(torch.relu(self.conv(frames)).mean((2, 3)))
        return logits


def tiny_pt2(path: Path) -> Path:
    """Write a good `torch.export` archive with the input `frames` [1, 3, 16, 16]."""
    program = torch.export.export(BrightestColour().eval(), (torch.zeros(INPUT_SHAPE),))
    torch.export.save(program, path)
    return path


def torchscript(path: Path) -> Path:
    """Write a good TorchScript archive of the same net; it does not tell its input shape."""
    # users have such files long after torch has stopped writing them
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        net = BrightestColour().eval()
        traced = torch.jit.trace(net, torch.zeros(INPUT_SHAPE))
        torch.jit.save(traced, str(path))
    return path
