"""Nets of a thousand weights that hold every operator that training must know, as `.pt2` files."""

from pathlib import Path

import torch
from torch import Tensor, nn


class Assorted(nn.Module):
    """Convolutions with batch norm and shortcut, gates, attention, norms: `frames` [1, 3, 16, 16] to logits [1, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.pool = nn.MaxPool2d(2)
        self.position = nn.Parameter(torch.randn(1, 16, 8) * 0.1)
        self.norm = nn.LayerNorm(8)
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.feed = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 8), nn.Tanh())
        self.head = nn.Linear(8, 3)

    def forward(self, frames: Tensor) -> Tensor:
        stem = self.stem(frames)
        block = torch.relu(stem + self.block(stem))
        gated = self.pool(block * self.gate(block))
        tokens = gated.flatten(2).transpose(1, 2) + self.position
        normed = self.norm(tokens)
        weights = torch.softmax(self.query(normed) @ self.key(normed).transpose(1, 2) * 8**-0.5, -1)
        tokens = tokens + (weights @ self.value(normed)).reshape(1, 16, 8)
        logits: Tensor = self.head(torch.cat([tokens, self.feed(tokens)], 1).mean(1))
        return logits


class Mixer(nn.Module):
    """A net that cannot take two samples at once: it weighs every sample by its share of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = self.layer(frames.mean((2, 3)))
        return scores * torch.softmax(scores, 0)


class Burdened(nn.Module):
    """Tell the brightest colour (as model_fixtures.BrightestColour), by a head whose huge weights cancel in pairs.

    Each colour comes twice, and the head reads it by +M + w and -M. On a grid that holds M, the w that matter are less
    than half a step: whatever rounds for least error gives zero. There is nothing to equalize, and the head has its 8
    bits already. Training finds other codes: a whole step apart is what tells the colours, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.head = nn.Linear(6, 3)
        burden = 40 * torch.randn(3, 3).sign()
        with torch.no_grad():
            self.conv.weight.copy_(30 / 9 * torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3))
            self.head.weight.copy_(torch.cat([burden + 0.14 * torch.eye(3), -burden], 1))
            self.head.bias.zero_()

    def forward(self, frames: Tensor) -> Tensor:
        colours = torch.relu(self.conv(frames)).mean((2, 3))
        logits: Tensor = self.head(torch.cat([colours, colours], 1))
        return logits


class ManyEnds(nn.Module):
    """`frames` [1, 3, 16, 16] and the number of a camera [1], whose row of a table is added; three outputs.

    The brightest colour's scores, the mean of each colour, and the brightest colour as a number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.cameras, self.colours = nn.Embedding(4, 3), nn.Linear(3, 3)
        with torch.no_grad():
            self.conv.weight.copy_(30 / 9 * torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3))
            self.cameras.weight.copy_(torch.randn(4, 1).expand(4, 3))

    def forward(self, frames: Tensor, camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = torch.relu(self.conv(frames)).mean((2, 3)) + self.cameras(camera)
        return scores, self.colours(scores), scores.argmax(1)


class Uneven(nn.Module):
    """Two convolutions of which the first's channels differ by up to a thousandfold, as a batch norm may leave them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)
        spread = torch.logspace(-1.5, 1.5, 16)
        with torch.no_grad():
            self.first.weight.mul_(spread[:, None, None, None])
            self.first.bias.mul_(spread)  # type: ignore[union-attr]
            self.second.weight.div_(spread[:, None, None])

    def forward(self, frames: Tensor) -> Tensor:
        features = torch.relu(self.second(torch.relu(self.first(frames))))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


def many_ends(path: Path) -> Path:
    """Write `ManyEnds`."""
    torch.manual_seed(3)
    return _save(ManyEnds(), path, torch.zeros(1, dtype=torch.int64))


def uneven(path: Path) -> Path:
    """Write `Uneven`."""
    torch.manual_seed(3)
    return _save(Uneven(), path)


def burdened(path: Path) -> Path:
    """Write `Burdened`."""
    torch.manual_seed(3)
    return _save(Burdened(), path)


def assorted(path: Path) -> Path:
    """Write `Assorted` with seeded weights and used batch norms."""
    torch.manual_seed(3)
    net = Assorted()
    with torch.no_grad():
        for _ in range(3):
            net.stem(torch.rand(8, 3, 16, 16))  # batch norms that have seen something
    return _save(net, path)


def mixer(path: Path) -> Path:
    """Write `Mixer`."""
    torch.manual_seed(3)
    return _save(Mixer(), path)


def _save(net: nn.Module, path: Path, *others: Tensor) -> Path:
    torch.export.save(torch.export.export(net.eval(), (torch.zeros(1, 3, 16, 16), *others)), path)
    return path
