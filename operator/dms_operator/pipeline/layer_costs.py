"""What more bits cost each layer of a net on the HTP: cycles of Qualcomm's cost model, wide less narrow.

The net is compiled as a whole with 8-bit and with 16-bit activations, and the cycles of each layer are compared: how
much more a layer costs depends on its kernel, and is far from its share of the multiplications.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..api.capabilities import BoardType
from ..api.errors import ConversionFailed
from ..api.stages import LatencyFacts
from ..toolchains.manifest import read_report
from ..toolchains.qnn.toolchain import LAYERS, Qnn
from .progress import Progress, silent

BOARD: BoardType = "sa8255"
"""A variant is made for a toolchain, not for one board. What counts here is how layers compare, and of the SoCs that
the cost model knows this one is the reference (docs/qualcomm.md)."""


@dataclass(frozen=True)
class LayerCosts:
    """Costs by ONNX node name; layers that became no slower cost nothing."""

    extra: Mapping[str, float]
    """What a node adds when its tensors have 16 bits, as a share of the narrow net's cycles."""
    narrow_us: float
    wide_us: float


def layer_costs(narrow: Path, wide: Path, workdir: Path, progress: Progress) -> LayerCosts:
    """Compile the same net with narrow and with wide activations, and compare.

    Raises ToolchainUnavailable, UnsupportedOperators, ConversionFailed (also where the cost model says nothing).
    """
    prices = []
    for done, model in enumerate((narrow, wide), start=1):
        prices.append(_price(model, workdir / model.stem))
        progress("price", done, 2)
    (before, narrow_us), (after, wide_us) = prices
    total = sum(before.values())
    extra = {name: max(0.0, after.get(name, 0.0) - cycles) / total for name, cycles in before.items()}
    return LayerCosts(extra, narrow_us, wide_us)


def microseconds(model: Path, workdir: Path) -> float:
    """The cost model's time for a net. Raises as `layer_costs` does."""
    return _compile(model, workdir, {"layer-profile": "false"}).p50.value * 1e6


def _price(model: Path, workdir: Path) -> tuple[dict[str, float], float]:
    """Cycles by node, and microseconds of the net."""
    latency = _compile(model, workdir, {})
    report = read_report(workdir, LAYERS)
    cycles = cycles_by_node(report["layers"])
    if not sum(cycles.values()):
        raise ConversionFailed(report.get("note") or "the cost model gives no cycles per layer")
    return cycles, latency.p50.value * 1e6


def _compile(model: Path, workdir: Path, options: dict[str, str]) -> LatencyFacts:
    workdir.mkdir()
    tools = Qnn()
    tools.convert(model, BOARD, options, workdir, silent)
    latency = tools.cost(workdir)
    if latency is None:
        raise ConversionFailed("the cost model knows no time for this net")
    return latency


def cycles_by_node(layers: list[dict[str, Any]]) -> dict[str, float]:
    """Compute cycles of each ONNX node; several nodes that became one operator share its cycles evenly."""
    found: dict[str, float] = defaultdict(float)
    for layer in layers:
        for name in layer["nodes"]:
            found[name] += layer.get("cycles", 0) / len(layer["nodes"])
    return dict(found)
