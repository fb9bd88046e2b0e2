"""EfficientNet-Lite0 on each frame and a GRU over time."""

from typing import NamedTuple

from torch import nn

from driver_monitor.blocks import InvertedResidual, convolution, divisible
from driver_monitor.canvas import SIZE
from driver_monitor.recurrent import RecurrentMonitor


class _Stage(NamedTuple):
    expansion: int
    kernel: int
    stride: int
    outputs: int
    blocks: int


_STEM, _LAST = 32, 1280
_STAGES = [  # EfficientNet-B0, Tan and Le 2019, table 1; Lite has ReLU6 for swish and no squeeze-and-excite
    _Stage(1, 3, 1, 16, 1),
    _Stage(6, 3, 2, 24, 2),
    _Stage(6, 5, 2, 40, 2),
    _Stage(6, 3, 2, 80, 3),
    _Stage(6, 5, 1, 112, 3),
    _Stage(6, 5, 2, 192, 4),
    _Stage(6, 3, 1, 320, 1),
]


def efficientnet_lite0(width: float) -> tuple[nn.Sequential, int]:
    """Frames [N, 3, size, size] to features [N, count, 1, 1], and `count`; `width` multiplies the channels."""
    inputs = divisible(_STEM * width)
    layers: list[nn.Module] = [convolution(3, inputs, 3, 2), nn.ReLU6()]
    for stage in _STAGES:
        outputs = divisible(stage.outputs * width)
        for block in range(stage.blocks):
            stride = 1 if block else stage.stride
            expanded = inputs * stage.expansion
            layers.append(InvertedResidual(inputs, expanded, outputs, stage.kernel, stride, nn.ReLU6))
            inputs = outputs
    last = divisible(_LAST * width)
    return nn.Sequential(*layers, convolution(inputs, last, 1, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1)), last


def reference() -> RecurrentMonitor:
    """The net whose weights are committed: a third of the channels, at 64x64."""
    return RecurrentMonitor(*efficientnet_lite0(width=0.35), hidden=128, size=SIZE)


def full_size() -> RecurrentMonitor:
    """The net for benchmarks: EfficientNet-Lite0 at 224x224 and a GRU of width 256; its weights are random."""
    return RecurrentMonitor(*efficientnet_lite0(width=1.0), hidden=256, size=224)
