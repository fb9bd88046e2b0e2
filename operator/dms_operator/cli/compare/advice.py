"""What a recommendation consists of: lines that each name their rule and the figures it used."""

from dataclasses import dataclass
from typing import Literal

from dms_operator.controller.text import milliseconds, number

from .rows import Row

Rule = Literal["budget", "entry-board", "int8-first", "qat-when-needed", "backbone", "evidence"]

RULES: dict[Rule, str] = {
    "budget": "A platform and precision come into question only if they pass every gate of the deployment: accuracy, "
    "delegation, provenance, latency by its upper bound, and power where it has a budget.",
    "entry-board": "The entry board where it passes; a dearer one only where the entry board does not.",
    "int8-first": "INT8 where it passes; a wider precision only where INT8 does not.",
    "qat-when-needed": "Quantization-aware training only where post-training quantization loses too much accuracy.",
    "backbone": "The backbone stays while it passes. MobileNetV3 is worth a try where latency or power miss the "
    "budget, EfficientNet-Lite (ReLU6, no squeeze-and-excitation) where INT8 loses too much accuracy. Of several "
    "models the fastest that passes, if its accuracy interval reaches that of the best.",
    "evidence": "What the figures do not show is named.",
}


@dataclass(frozen=True)
class Advice:
    """One line."""

    rule: Rule
    text: str
    figures: tuple[str, ...] = ()
    """The numbers that the rule used, each with its provenance."""
    missing: bool = False
    """The numbers do not suffice: the text says what is missing."""


def place(row: Row) -> str:
    """Where a row runs, such as `INT8 on qcs8255`."""
    return f"{row.precision.upper()} on {row.target.board}"


def latency_figure(row: Row) -> str:
    """The upper bound (or, without one, the median) with its provenance, and the budget."""
    latency = row.judged
    if latency is None:
        return f"{place(row)}: latency unavailable"
    what = "camera to decision " if row.benchmark and row.spec.benchmark.end_to_end else ""
    shown = f"at most {milliseconds(latency.bound)}" if latency.bound else f"p50 {milliseconds(latency.p50)}, no bound"
    return f"{place(row)}: {what}{shown} {latency.provenance}, budget {milliseconds(row.spec.benchmark.latency_budget)}"


def drop_figures(row: Row) -> tuple[str, ...]:
    """What the variant lost and may lose, as the accuracy gate tells it; empty where it was not judged."""
    gate = row.gate("accuracy")
    return (f"{row.variant.name} {gate.message} (host)",) if row.variant and gate else ()


def share(part: float, whole: float) -> str:
    """A part in percent of the whole."""
    return f"{number(100 * part / whole, 1)} %"


def told(advice: Advice) -> str:
    """A line without its rule: whether something is missing, the text, and the figures in brackets."""
    text = f"missing: {advice.text}" if advice.missing else advice.text
    return f"{text} ({'; '.join(advice.figures)})" if advice.figures else text
