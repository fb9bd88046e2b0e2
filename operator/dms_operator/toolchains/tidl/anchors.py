"""Nets whose latency on TDA4VM TI published, as shapes alone, and how far the estimate is from those figures.

`python -m dms_operator.toolchains.tidl.tables anchors` prints the table of docs/tda4vm.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .latency import price
from .layers import Layer, convolution, element_wise

CLASSES = 1000


@dataclass(frozen=True)
class Anchor:
    """A published figure. `low` and `high` where several runs were published."""

    net: str
    milliseconds: float
    source: str
    layers: Callable[[], list[Layer]]
    low: float | None = None
    high: float | None = None


class _Builder:
    """Appends layers; keeps channels and plane of the last one."""

    def __init__(self, size: int, channels: int = 3) -> None:
        self.layers: list[Layer] = []
        self.channels, self.size = channels, size

    def conv(self, out: int, kernel: int = 1, stride: int = 1, group: int = 1) -> "_Builder":
        size = -(-self.size // stride)
        name = f"{len(self.layers)}-conv{kernel}x{kernel}"
        planes = (self.size**2, size**2)
        self.layers.append(convolution(name, (self.channels, out), (kernel, kernel), planes, group=group))
        self.channels, self.size = out, size
        return self

    def depthwise(self, kernel: int = 3, stride: int = 1) -> "_Builder":
        return self.conv(self.channels, kernel, stride, group=self.channels)

    def add(self) -> "_Builder":
        values = self.channels * self.size**2
        self.layers.append(element_wise(f"{len(self.layers)}-add", "Add", 2 * values, values))
        return self

    def head(self) -> list[Layer]:
        values = self.channels * self.size**2
        self.layers.append(element_wise(f"{len(self.layers)}-pool", "GlobalAveragePool", values, self.channels))
        self.size = 1
        return self.conv(CLASSES).layers


def mobilenet_v1() -> list[Layer]:
    """MobileNetV1 1.0, 224 x 224 (Howard et al. 2017, table 1)."""
    net = _Builder(224).conv(32, 3, 2)
    for out, stride in [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]:
        net.depthwise(3, stride).conv(out)
    return net.head()


def mobilenet_v2(width: float = 1.0) -> list[Layer]:
    """MobileNetV2, 224 x 224 (Sandler et al. 2018, table 2), channels rounded to 8."""
    net = _Builder(224).conv(_rounded(32 * width), 3, 2)
    blocks = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for factor, channels, count, first in blocks:
        for stride in [first, *[1] * (count - 1)]:
            before, out = net.channels, _rounded(channels * width)
            if factor > 1:
                net.conv(before * factor)
            net.depthwise(3, stride).conv(out)
            if stride == 1 and before == out:
                net.add()
    return net.conv(max(1280, _rounded(1280 * width))).head()


def regnet_x_200mf() -> list[Layer]:
    """RegNetX-200MF, 224 x 224 (Radosavovic et al. 2020, table of the RegNetX models; group width 8)."""
    net = _Builder(224).conv(32, 3, 2)
    for channels, count in [(24, 1), (56, 1), (152, 4), (368, 7)]:
        for stride in [2, *[1] * (count - 1)]:
            before, size = net.channels, net.size
            net.conv(channels).conv(channels, 3, stride, group=channels // 8).conv(channels)
            if stride == 2:  # the shortcut is a convolution of its own
                planes = (size**2, net.size**2)
                net.layers.append(convolution(f"{len(net.layers)}-short", (before, channels), (1, 1), planes))
            net.add()
    return net.head()


_GOLDEN = "edgeai-tensorlab edgeai-benchmark/tests/tidl_goldenref_evm.csv"
_DATASHEET = "processor-sdk-linux-sk-tda4vm 08_01 to 08_04 data sheet"
ANCHORS: tuple[Anchor, ...] = (
    Anchor("MobileNetV1", 1.655, f"{_GOLDEN}; {_DATASHEET}: 1.04 to 1.9", mobilenet_v1, 1.04, 1.9),
    Anchor("MobileNetV2", 2.365, _GOLDEN, mobilenet_v2),
    Anchor("MobileNetV2 1.4", 3.025, f"{_DATASHEET}: 3.02 to 3.03", lambda: mobilenet_v2(1.4), 3.02, 3.03),
    Anchor("RegNetX-200MF", 2.960, _GOLDEN, regnet_x_200mf),
)


def estimated_milliseconds(layers: Sequence[Layer], setup: float) -> float:
    """The estimate with a given set-up time per layer, seconds."""
    return 1e3 * sum(price(layer, setup=setup).seconds for layer in layers)


def fitted_setup(anchors: Sequence[Anchor]) -> float:
    """The set-up time per layer (seconds) with the least squared relative error on these nets."""
    terms = []
    for anchor in anchors:
        layers = anchor.layers()
        terms.append((1e-3 * anchor.milliseconds, 1e-3 * estimated_milliseconds(layers, 0.0), len(layers)))
    above = sum((goal - base) * count / goal**2 for goal, base, count in terms)
    return above / sum((count / goal) ** 2 for goal, _, count in terms)


def left_out_error(anchor: Anchor) -> float:
    """Relative error on a net that took no part in the fit."""
    setup = fitted_setup([other for other in ANCHORS if other is not anchor])
    return estimated_milliseconds(anchor.layers(), setup) / anchor.milliseconds - 1


def _rounded(channels: float, step: int = 8) -> int:
    """To a multiple of 8, never more than 10 % down (the paper's reference code)."""
    nearest = max(step, int(channels + step / 2) // step * step)
    return nearest + step if nearest < 0.9 * channels else nearest
