"""A recurrent layer over time, in place of the Transformer: GRU or LSTM."""

from typing import Literal

import torch
from torch import Tensor, nn

from driver_monitor.behaviour import FRAMES, LABELS
from driver_monitor.canvas import SIZE
from driver_monitor.network import resnet18

Cell = Literal["gru", "lstm", "unrolled-gru"]


class UnrolledGru(nn.Module):
    """A GRU [N, 8, width] to [N, 8, hidden] written out step by step; equations as in `torch.nn.GRU`'s documentation.

    Dynamic quantization leaves the operator GRU in float; matrix products, sigmoid and tanh it quantizes.
    """

    def __init__(self, width: int, hidden: int) -> None:
        """Make the layer; the gates' order in the weights is reset, update, new."""
        super().__init__()
        self.hidden = hidden
        self.inputs, self.recurrent = nn.Linear(width, 3 * hidden), nn.Linear(hidden, 3 * hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the state after each step."""
        given = [part.split(self.hidden, -1) for part in self.inputs(tokens).unbind(1)]
        state = torch.zeros_like(given[0][0])
        states = []
        for reset_in, update_in, new_in in given:
            reset, update, new = self.recurrent(state).split(self.hidden, -1)
            candidate = torch.tanh(new_in + torch.sigmoid(reset_in + reset) * new)
            state = candidate + torch.sigmoid(update_in + update) * (state - candidate)
            states.append(state)
        return torch.stack(states, 1)


class RecurrentMonitor(nn.Module):
    """Clips [N, 8, 3, size, size] in [0, 1] to logits [N, 6] in the order of `LABELS`, by the mean of all states."""

    def __init__(self, backbone: nn.Module, features: int, hidden: int, size: int, cell: Cell = "unrolled-gru") -> None:
        """Make the net around `backbone`, whose output has `features` channels."""
        super().__init__()
        self.size = size
        self.backbone = backbone
        self.embed = nn.Linear(features, hidden)
        self.cell = _cell(cell, hidden)
        self.head = nn.Linear(hidden, len(LABELS))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits."""
        features = self.backbone(frames.reshape(-1, 3, self.size, self.size)).flatten(1)
        return self.classify(features.reshape(-1, FRAMES, self.embed.in_features))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits for what the backbone saw in each frame, [N, 8, features]."""
        states = self.cell(self.embed(features))
        if isinstance(states, tuple):  # torch's own layers give their last state beside
            states = states[0]
        logits: Tensor = self.head(states.mean(1))
        return logits


def with_recurrent_head(cell: Cell) -> RecurrentMonitor:
    """The ResNet-18 of the reference net with a recurrent head, its weights random: for dynamic quantization."""
    return RecurrentMonitor(*resnet18(width=0.25), hidden=128, size=SIZE, cell=cell)


def _cell(cell: Cell, width: int) -> nn.Module:
    if cell == "unrolled-gru":
        return UnrolledGru(width, width)
    return nn.GRU(width, width, batch_first=True) if cell == "gru" else nn.LSTM(width, width, batch_first=True)
