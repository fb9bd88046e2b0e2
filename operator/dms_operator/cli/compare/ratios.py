"""From float to INT8: how much faster, thriftier and smaller. Only figures of one provenance are divided."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dms_operator.api.capabilities import Precision
from dms_operator.api.stages import PROVENANCE_ORDER, LatencyFacts

from .rows import Group, Row

Quantity = Literal["latency", "power", "size"]
FLOAT: tuple[Precision, ...] = ("fp32", "fp16")


@dataclass(frozen=True)
class Ratio:
    """A float figure divided by INT8's: above 1, INT8 is better."""

    quantity: Quantity
    value: float
    origin: str
    """The provenance that both figures have; for sizes, which files were compared."""
    noisy: bool = False

    def __str__(self) -> str:
        """Short form such as `3.5x simulated`."""
        return f"{self.value:.1f}x {self.origin}{', noisy' if self.noisy else ''}"


@dataclass(frozen=True)
class Change:
    """All ratios from one float row to the INT8 row of a group, and what accuracy that costs."""

    base: Row
    int8: Row
    ratios: dict[Quantity, Ratio]


def changes(group: Group) -> Iterator[Change]:
    """FP32 to INT8 and FP16 to INT8, where both were made."""
    int8 = group.row("int8")
    for base in (group.row(precision) for precision in FLOAT):
        if base and int8 and base.variant and int8.variant:
            found = (_latency(base, int8), _power(base, int8), _size(base, int8))
            yield Change(base, int8, {ratio.quantity: ratio for ratio in found if ratio})


def _latency(base: Row, int8: Row) -> Ratio | None:
    """By the strongest provenance that both have; the float model's on the host is that of INT8's own benchmark."""
    for provenance in reversed(PROVENANCE_ORDER):
        ours = int8.latency_by(provenance)
        theirs = base.latency_by(provenance)
        if base.candidate is None and int8.benchmark:
            reference = int8.benchmark.reference
            theirs = reference if reference and reference.provenance == provenance else None
        if ours and theirs and ours.p50.value > 0:
            return Ratio("latency", theirs.p50.value / ours.p50.value, provenance, _noisy(ours, theirs))
    return None


def _noisy(*figures: LatencyFacts) -> bool:
    return any(each.noisy for each in figures)


def _power(base: Row, int8: Row) -> Ratio | None:
    ours, theirs = int8.benchmark, base.benchmark
    if ours is None or theirs is None or not (ours.power and theirs.power and ours.power.value > 0):
        return None
    if ours.power_provenance is None or ours.power_provenance != theirs.power_provenance:
        return None
    return Ratio("power", theirs.power.value / ours.power.value, ours.power_provenance)


def _size(base: Row, int8: Row) -> Ratio | None:
    """Compiled against compiled where both are, else ONNX against ONNX."""
    compiled = [
        row.candidate.compiled.size_bytes if row.candidate and row.candidate.compiled else 0 for row in (base, int8)
    ]
    if all(compiled):
        return Ratio("size", compiled[0] / compiled[1], "compiled")
    assert base.variant and int8.variant
    return Ratio("size", base.variant.size_bytes / int8.variant.size_bytes, "ONNX") if int8.variant.size_bytes else None
