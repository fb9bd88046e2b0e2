"""A latency estimate for TDA4VM: a roofline per layer plus a fixed cost per layer. Always `estimated`, never more.

Hardware figures are TI's; the fixed cost alone is fitted, to the figures that TI published (`anchors`, with the error).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from ...api.errors import InvalidSpec
from ...api.quantities import Duration
from ...api.stages import LatencyFacts
from ...api.target_options.tidl_socs import Soc
from .layers import Layer

MACS_PER_CYCLE = 4096
"""8-bit multiply-accumulates of the MMA per cycle: "4K 8-bit fixed MACs per cycle" (TI SPRY344); 8 TOPS at 1 GHz."""
CLOCK_HZ = 1e9
PANEL = 64
"""Rows and columns of the MMA's 8-bit matrix: 64 x 64 = MACS_PER_CYCLE."""
DDR_BYTES_PER_SECOND = 14.9e9
"""LPDDR4, 32 bits at 3733 MT/s (TDA4VM data sheet, SPRSP36: "up to 14.9 GB/s")."""
LOCAL_BYTES_PER_SECOND = 64e9
"""The C7x reads and writes its L2 memory in 512-bit vectors at 1 GHz."""
LOCAL_BYTES = 8 * 1024**2
"""On-chip memory (MSMC) in which activations stay (TDA4VM data sheet); TI's simulator for regnetx-200mf counts 2.76 MB
of DDR traffic, which is its weights and its input alone."""
SECONDS_PER_LAYER = 36.5e-6
"""Set-up of a layer (descriptors, DMA, pipeline fill): fitted, see `anchors`."""
WORST_ERROR = 0.30
"""Largest relative error over the published nets when each is left out of the fit in turn (`anchors`)."""
SLOWER_WITH_16_BITS = 4
"""16-bit products take the MMA's 8-bit multipliers four at a time."""
VALIDATED = "J721E"


@dataclass(frozen=True)
class Priced:
    """Seconds of one layer, and what it waits for: `compute`, `local`, `ddr` or `setup`."""

    layer: Layer
    seconds: float
    bound: str


def price(layer: Layer, bits: int = 8, setup: float = SECONDS_PER_LAYER) -> Priced:
    """The slowest of arithmetic, on-chip traffic and DDR traffic, plus the set-up."""
    size = bits // 8
    local = (layer.read + layer.written) * size
    times = {
        "compute": compute_seconds(layer, bits),
        "local": local / LOCAL_BYTES_PER_SECOND,
        "ddr": (layer.weights * size + max(0, local - LOCAL_BYTES)) / DDR_BYTES_PER_SECOND,
    }
    bound = max(times, key=lambda name: times[name])
    return Priced(layer, times[bound] + setup, bound if times[bound] > setup else "setup")


def compute_seconds(layer: Layer, bits: int = 8) -> float:
    """Time on the MMA: its panel is filled only as far as the layer's channels go."""
    rate = MACS_PER_CYCLE * CLOCK_HZ * utilization(layer) / (1 if bits == 8 else SLOWER_WITH_16_BITS)
    return layer.macs / rate


def utilization(layer: Layer) -> float:
    """Share of the panel that works.

    Grouped convolutions lay groups side by side along the diagonal; a depthwise one multiplies a row of pixels by a
    band of the kernel's width.
    """
    if not layer.macs:
        return 1.0
    if layer.group > 1 and layer.width == 1:
        return layer.kernel_width / PANEL
    if layer.group > 1 and layer.width < PANEL:
        return layer.width / PANEL
    return _filled(layer.depth) * _filled(layer.width)


def estimate(layers: Iterable[Layer], bits: int = 8, wide: frozenset[str] = frozenset()) -> list[Priced]:
    """Every layer's price; layers that end in a tensor of `wide` work in 16 bits."""
    return [price(layer, 16 if layer.output in wide else bits) for layer in layers]


def seconds(priced: Iterable[Priced]) -> float:
    """Of the whole model."""
    return sum(each.seconds for each in priced)


def facts(soc: Soc, priced: list[Priced], left_on_cpu: int, *, wide: bool = False) -> LatencyFacts:
    """The estimate for reports and gates.

    No upper bound where Arm cores do part of the work, or where layers are `wide` (16 bits): no published figure
    checks those. Raises InvalidSpec for chips that no published figure checks the model on.
    """
    if soc.name != VALIDATED:
        raise InvalidSpec(f"no latency estimate for {soc.title}: the model is checked on TDA4VM alone")
    total = seconds(priced)
    notes = [f"{len(priced)} layers, {100 * share(priced, 'setup'):.0f} % of the time is set-up"]
    if left_on_cpu:
        notes.insert(0, f"without {left_on_cpu} nodes on the Arm cores and the trips there, so too low")
    if wide:
        notes.insert(0, "no published figure checks 16-bit layers")
    return LatencyFacts(
        provenance="estimated",
        p50=Duration.of_seconds(total),
        bound=None if left_on_cpu or wide else Duration.of_seconds(total * (1 + WORST_ERROR)),
        source=f"roofline of {soc.title}, error up to {WORST_ERROR:.0%} on published nets",
        notes="; ".join(notes),
    )


def share(priced: list[Priced], bound: str) -> float:
    """Share of the time spent in layers that wait for one thing."""
    return sum(each.seconds for each in priced if each.bound == bound) / seconds(priced) if priced else 0.0


def _filled(size: int) -> float:
    return size / (PANEL * ceil(size / PANEL)) if size else 1.0
