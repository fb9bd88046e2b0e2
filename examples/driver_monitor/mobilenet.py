"""MobileNetV3-small on each frame and the Transformer over time."""

from typing import NamedTuple

from torch import nn

from driver_monitor.blocks import InvertedResidual, convolution, divisible
from driver_monitor.canvas import SIZE
from driver_monitor.network import DriverMonitor


class _Row(NamedTuple):
    kernel: int
    expanded: int
    outputs: int
    squeeze: bool
    activation: type[nn.Module]
    stride: int


_RELU, _SWISH = nn.ReLU, nn.Hardswish
_STEM, _LAST = 16, 576
_ROWS = [  # Howard et al. 2019, table 2
    _Row(3, 16, 16, True, _RELU, 2),
    _Row(3, 72, 24, False, _RELU, 2),
    _Row(3, 88, 24, False, _RELU, 1),
    _Row(5, 96, 40, True, _SWISH, 2),
    _Row(5, 240, 40, True, _SWISH, 1),
    _Row(5, 240, 40, True, _SWISH, 1),
    _Row(5, 120, 48, True, _SWISH, 1),
    _Row(5, 144, 48, True, _SWISH, 1),
    _Row(5, 288, 96, True, _SWISH, 2),
    _Row(5, 576, 96, True, _SWISH, 1),
    _Row(5, 576, 96, True, _SWISH, 1),
]


def mobilenet_v3_small(width: float, stem_stride: int = 2) -> tuple[nn.Sequential, int]:
    """Frames [N, 3, size, size] to features [N, count, 1, 1], and `count`; `width` multiplies the channels."""
    inputs = divisible(_STEM * width)
    layers: list[nn.Module] = [convolution(3, inputs, 3, stem_stride), _SWISH()]
    for row in _ROWS:
        expanded, outputs = divisible(row.expanded * width), divisible(row.outputs * width)
        layers.append(
            InvertedResidual(inputs, expanded, outputs, row.kernel, row.stride, row.activation, squeeze=row.squeeze)
        )
        inputs = outputs
    last = divisible(_LAST * width)
    return nn.Sequential(*layers, convolution(inputs, last, 1, 1), _SWISH(), nn.AdaptiveAvgPool2d(1)), last


def reference() -> DriverMonitor:
    """The net whose weights are committed; its first layer keeps the 64x64 pixels, of which there are few."""
    return DriverMonitor(*mobilenet_v3_small(width=0.75, stem_stride=2), tokens=128, size=SIZE)


def full_size() -> DriverMonitor:
    """The net for benchmarks: MobileNetV3-small at 224x224; its weights are random."""
    return DriverMonitor(*mobilenet_v3_small(width=1.0), tokens=256, size=224)
