"""Blocks of the small convolutional nets: convolution with batch norm, squeeze-and-excite, inverted residual."""

from torch import Tensor, nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    """Convolution without bias and batch norm: [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


def divisible(channels: float) -> int:
    """Round channels to a multiple of 8, at least 8, which vector units want (as in the MobileNet papers' code)."""
    return max(8, int(channels + 4) // 8 * 8)


class SqueezeExcite(nn.Module):
    """Weigh each channel by what the whole image shows: [N, channels, H, W] to the same (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        """Make the two layers; the inner one has a quarter of the channels, as in MobileNetV3."""
        super().__init__()
        inner = divisible(channels / 4)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), nn.ReLU(), nn.Conv2d(inner, channels, 1)
        )
        self.gate = nn.Hardsigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """Apply the weights."""
        gated: Tensor = features * self.gate(self.weigh(features))
        return gated


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project: [N, inputs, H, W] to [N, outputs, H / stride, W / stride].

    The block of MobileNetV2, V3 and EfficientNet; the shortcut is there where the shape stays.
    """

    def __init__(
        self,
        inputs: int,
        expanded: int,
        outputs: int,
        kernel: int,
        stride: int,
        activation: type[nn.Module],
        *,
        squeeze: bool = False,
    ) -> None:
        """Make the block."""
        super().__init__()
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers += [convolution(inputs, expanded, 1, 1), activation()]
        layers += [convolution(expanded, expanded, kernel, stride, groups=expanded), activation()]
        if squeeze:
            layers.append(SqueezeExcite(expanded))
        self.layers = nn.Sequential(*layers, convolution(expanded, outputs, 1, 1))
        self.has_shortcut = inputs == outputs and stride == 1

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block."""
        changed: Tensor = self.layers(features)
        return features + changed if self.has_shortcut else changed
