"""Cells of the table: a figure with its provenance, or `unavailable` with the reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dms_operator.api.capabilities import BOARDS, TOOLCHAINS
from dms_operator.api.stages import LOWER_IS_BETTER, AccuracyFacts
from dms_operator.controller.text import SHARES, loss, number

from .ratios import Change, changes
from .rows import Group, Row
from .rules import step

UNAVAILABLE = "unavailable"
UNKNOWN = "unknown"
"""A figure that came without its provenance, which no gate accepts."""
HEADER = ("platform", "precision", "latency ms (at most)", "power mW", "accuracy [95 %]", "size MB")


@dataclass(frozen=True)
class Cell:
    """A figure, where it comes from, and remarks that stand below the table."""

    text: str
    provenance: str = UNAVAILABLE
    notes: tuple[str, ...] = ()
    noisy: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    """The figures themselves, in the unit of the column, for programs."""
    on_target: "Cell | None" = None
    """Accuracy once more, with the target's own arithmetic."""

    def __str__(self) -> str:
        """As the table shows it, over two lines where the target has its own figure."""
        text = f"{self.text} {self.provenance}{', noisy' if self.noisy else ''}".strip()
        return f"{text}\non target {self.on_target}" if self.on_target else text

    def to_wire(self) -> dict[str, Any]:
        """For `-o json`."""
        told = {"text": self.text, "provenance": self.provenance, "notes": list(self.notes)} | dict(self.values)
        told |= {"noisy": True} if self.noisy else {}
        return told | ({"onTarget": self.on_target.to_wire()} if self.on_target else {})


@dataclass(frozen=True)
class Line:
    """A line of the table; `cells` are latency, power, accuracy and size."""

    platform: str
    precision: str
    cells: tuple[Cell, ...]
    is_ratio: bool = False
    passes: bool = False


@dataclass(frozen=True)
class Section:
    """The table of one model."""

    title: str
    lines: list[Line] = field(default_factory=list)


def sections(found: list[Group]) -> list[Section]:
    """One table per model, platforms in the order given, each closed by its ratios."""
    result: dict[str, Section] = {}
    for group in found:
        section = result.setdefault(group.key[0], Section(_title(group.rows[0])))
        section.lines.extend(_line(row) for row in group.rows)
        section.lines.extend(_ratio_line(change) for change in changes(group))
    return list(result.values())


def _title(row: Row) -> str:
    model = row.model.removeprefix("sha256:")[:12]
    budget = row.spec.benchmark
    power = f", {budget.power_budget}" if budget.power_budget else ""
    return f"{row.deployment} (model {model or 'not resolved yet'}; budget {budget.latency_budget}{power})"


def _line(row: Row) -> Line:
    title = BOARDS[row.target.board].title.split(",")[0]
    made = row.variant.method if row.variant and row.variant.method not in ("none", "cast") else ""
    toolchain = row.target.toolchain if row.candidate else ""
    precision = " ".join(filter(None, (row.precision.upper(), toolchain, made)))
    return Line(title, precision, (_latency(row), _power(row), _accuracy(row), _size(row)), passes=row.passes)


def _latency(row: Row) -> Cell:
    latency = row.latency
    if latency is None:
        return Cell("", notes=(row.why or "no figure of the platform",))
    shown = _ms(latency.p50.value) + (f" (<= {_ms(latency.bound.value)})" if latency.bound else " (no bound)")
    values = {"p50": latency.p50.value * 1e3} | ({"atMost": latency.bound.value * 1e3} if latency.bound else {})
    return Cell(shown, latency.provenance, tuple(_latency_notes(row)), latency.noisy, values)


def _latency_notes(row: Row) -> Iterator[str]:
    latency = row.latency
    assert latency
    notes = f": {latency.notes}" if latency.notes else ""
    yield f"{latency.provenance}: {latency.source}{notes}"
    if row.candidate is None and row.target.toolchain != "onnxruntime":
        refused = TOOLCHAINS[row.target.toolchain].refusals.get(row.precision)
        yield f"{row.target.toolchain}: {refused}" if refused else f"{row.precision} is the host baseline"


def _power(row: Row) -> Cell:
    benchmark = row.benchmark
    if benchmark is None:
        why = row.why or "power belongs to a board; the host baseline has none"
        return Cell("", notes=(why,))
    if benchmark.power is None:
        return Cell("", notes=(f"power: {benchmark.power_note or benchmark.power_source}",))
    note = f"power: {benchmark.power_source}; {benchmark.power_note}".rstrip("; ")
    milliwatts = benchmark.power.value * 1e3
    return Cell(number(milliwatts, 0), benchmark.power_provenance or UNKNOWN, (note,), values={"value": milliwatts})


def _accuracy(row: Row) -> Cell:
    if row.variant is None:
        return Cell("", notes=(row.why or "not made",))
    found, benchmark = row.variant.accuracy, row.benchmark
    on_target = None
    if benchmark and benchmark.accuracy_on_target and benchmark.accuracy_provenance:
        there = benchmark.accuracy_on_target
        on_target = Cell(_score(there), benchmark.accuracy_provenance, values={"value": there.value})
    values = {"value": found.value, "drop": row.variant.accuracy_drop}
    return Cell(_score(found), "host", values=values, on_target=on_target)


def _score(found: AccuracyFacts) -> str:
    scale, unit = (100, " %") if found.metric in SHARES else (1, "")
    digits = 1 if scale == 100 else 4
    value, low, high = (f"{figure * scale:.{digits}f}" for figure in (found.value, found.low, found.high))
    return f"{value}{unit} [{low}, {high}] n={found.samples}"


def _size(row: Row) -> Cell:
    if row.compiled_bytes:
        return Cell(f"{row.compiled_bytes / 1e6:.2f}", "compiled", values={"value": row.compiled_bytes / 1e6})
    if row.variant:
        return Cell(f"{row.variant.size_bytes / 1e6:.2f}", "ONNX", values={"value": row.variant.size_bytes / 1e6})
    return Cell("", notes=(row.why or "not made",))


def _ratio_line(change: Change) -> Line:
    lost = change.int8.variant.accuracy_drop - change.base.variant.accuracy_drop  # type: ignore[union-attr]
    metric = change.int8.variant.accuracy.metric  # type: ignore[union-attr]
    changed = lost if metric in LOWER_IS_BETTER else -lost
    accuracy = Cell(_with_sign(loss(metric, changed)), "host", values={"value": changed})
    latency, power, size = (_ratio(change, name) for name in ("latency", "power", "size"))
    return Line("", step(change), (latency, power, accuracy, size), is_ratio=True)


def _with_sign(change: str) -> str:
    return f"+{change}" if float(change.split()[0]) > 0 else change


def _ratio(change: Change, name: str) -> Cell:
    ratio = change.ratios.get(name)  # type: ignore[call-overload]
    if ratio is None:
        return Cell("", notes=(f"{name}: no figure of one provenance on both sides",))
    elsewhere = ratio.origin == "host" and change.int8.target.toolchain != "onnxruntime"
    notes = ("host: both ran on the build machine's CPU, which says little about the platform",) if elsewhere else ()
    return Cell(f"{ratio.value:.1f}x", ratio.origin, notes, ratio.noisy, {"value": ratio.value})


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return number(milliseconds, 3 if milliseconds < 10 else 1)
