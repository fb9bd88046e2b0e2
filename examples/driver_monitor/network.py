"""ResNet-18 on each frame and a Transformer encoder over time, of operators that every NPU compiler knows."""

import torch
from torch import Tensor, nn

from driver_monitor.behaviour import FRAMES, LABELS
from driver_monitor.blocks import convolution
from driver_monitor.canvas import SIZE

_STAGES = (64, 128, 256, 512)  # channels of ResNet-18, He et al. 2015, table 1
_BLOCKS = 2


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Make the block; its shortcut has a 1x1 convolution where the shape changes."""
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3, 1)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block."""
        changed: Tensor = self.second(torch.relu(self.first(features)))
        return torch.relu(changed + self.shortcut(features))


class Attention(nn.Module):
    """Multi-head self-attention [N, T, width] to the same, with a projection each for queries, keys and values.

    Written out because the fused operator of `torch.nn` exports as packed projections, slices and conditional paths.
    """

    def __init__(self, width: int, heads: int) -> None:
        """Make the four projections; `width` must be a multiple of `heads`."""
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.scale = (width // heads) ** -0.5

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix the tokens."""
        queries, keys, values = (self._split(part(tokens)) for part in (self.query, self.key, self.value))
        weights = torch.softmax(queries @ keys.transpose(2, 3) * self.scale, dim=-1)
        mixed = (weights @ values).transpose(1, 2).reshape(tokens.shape)
        output: Tensor = self.output(mixed)
        return output

    def _split(self, tokens: Tensor) -> Tensor:
        """[N, T, width] to [N, heads, T, width / heads]."""
        batch, time, width = tokens.shape
        return tokens.reshape(batch, time, self.heads, width // self.heads).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Pre-norm Transformer encoder layer, [N, T, width] to the same."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """Make the layer with a feed-forward part of twice the width."""
        super().__init__()
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply attention, then the feed-forward part, each with its residual."""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        fed: Tensor = self.dropout(self.feed(self.feed_norm(tokens)))
        return tokens + fed


class DriverMonitor(nn.Module):
    """Clips [N, 8, 3, size, size] in [0, 1] to logits [N, 6] in the order of `LABELS`."""

    def __init__(
        self, backbone: nn.Module, features: int, tokens: int, size: int, heads: int = 4, dropout: float = 0.1
    ) -> None:
        """Make the net around `backbone`, whose output has `features` channels; `tokens` is the Transformer's width."""
        super().__init__()
        self.size = size
        self.backbone = backbone
        self.embed = nn.Linear(features, tokens)
        self.position = nn.Parameter(torch.randn(1, FRAMES, tokens) * 0.02)
        self.encoder = nn.Sequential(*(EncoderLayer(tokens, heads, dropout) for _ in range(2)))
        self.norm = nn.LayerNorm(tokens)
        self.head = nn.Linear(tokens, len(LABELS))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits."""
        features = self.backbone(frames.reshape(-1, 3, self.size, self.size)).flatten(1)
        tokens = self.embed(features).reshape(-1, FRAMES, self.position.shape[2]) + self.position
        logits: Tensor = self.head(self.norm(self.encoder(tokens)).mean(1))
        return logits


def reference() -> DriverMonitor:
    """The net whose weights are committed: a quarter of ResNet-18's width, at 64x64."""
    return DriverMonitor(*resnet18(width=0.25), tokens=128, size=SIZE)


def full_size() -> DriverMonitor:
    """The net for benchmarks: ResNet-18 at 224x224 and a Transformer of width 256; its weights are random."""
    return DriverMonitor(*resnet18(width=1.0), tokens=256, size=224)


def resnet18(width: float) -> tuple[nn.Sequential, int]:
    """Frames [N, 3, size, size] to features [N, count, 1, 1], and `count`; `width` multiplies the channels."""
    stages = [int(channels * width) for channels in _STAGES]
    layers: list[nn.Module] = [convolution(3, stages[0], 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    inputs = stages[0]
    for stage, outputs in enumerate(stages):
        for block in range(_BLOCKS):
            layers.append(ResidualBlock(inputs, outputs, stride=2 if stage and not block else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), inputs
