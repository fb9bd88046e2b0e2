"""What the ladder learned of a variant: why it ended, which tensors its rounding hurts, how its training went."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dms_operator.api.status import CandidateStatus, TargetStatus, VariantStatus

from .document import Block, Cell, Section, Table, Text
from .evidence import VariantFiles

TOP_TENSORS = 12


def outcome(variant: VariantStatus, targets: Sequence[TargetStatus]) -> str:
    """Where a variant ended on each target that tried it, and why."""
    return "; ".join(_ends(variant.name, targets)) or variant.reason or "the reference"


def _ends(variant: str, targets: Sequence[TargetStatus]) -> Iterator[str]:
    for each in targets:
        for candidate in each.candidates:
            if candidate.variant == variant:
                yield f"{each.name}: {_end(each, candidate)}"


def _end(of: TargetStatus, candidate: CandidateStatus) -> str:
    if of.state == "Ready" and of.variant == candidate.variant:
        return "passed every gate and was selected; no later rung was needed"
    miss = next((gate for gate in candidate.gates if gate.outcome != "Pass"), None)
    return f"{miss.name} {miss.outcome}: {miss.message}" if miss else of.message or "on its way"


def section(variant: str, files: VariantFiles) -> Iterator[Section]:
    """Nothing where the variant was neither mixed nor trained."""
    blocks = [*_sensitivity(files.sensitivity), *_training(files.training)]
    if blocks:
        yield Section(f"How {variant} was made", blocks, level=2)


def _sensitivity(table: Mapping[str, Any]) -> Iterator[Block]:
    layers = table.get("layers", [])
    if not layers:
        return
    wide = sum(bool(row.get("widened")) for row in layers)
    text = f"{wide} of {len(layers)} tensors have more bits; the {min(TOP_TENSORS, len(layers))} most sensitive"
    if cost := table.get("costModelUs"):
        text += (
            f" (simulated: {cost['mixed']:.0f} us, with 8 bits {cost['narrow']:.0f}, "
            f"with 16 bits throughout {cost['wide']:.0f})"
        )
    yield Text(text)
    rows: list[list[Cell]] = [
        [
            ", ".join(row.get("tensors", [])[:2]),
            row.get("operator", ""),
            f"{row.get('error', 0):.2e}",
            f"{row.get('cost', 0):.1%}",
            "yes" if row.get("widened") else "",
        ]
        for row in layers[:TOP_TENSORS]
    ]
    yield Table(("tensor", "operator", "output error alone", "cost of more bits", "widened"), rows, frozenset((2, 3)))


def _training(history: Mapping[str, Any]) -> Iterator[Block]:
    epochs = history.get("epochs", [])
    if not epochs:
        return
    yield Text(f"Training: epoch {history.get('chosenEpoch', '?')} was taken; epoch 0 is the net before training")
    rows: list[list[Cell]] = [
        [
            f"{row.get('epoch')}",
            "-" if row.get("training_loss") is None else f"{row['training_loss']:.4f}",
            f"{row.get('held_out_loss', 0):.4f}",
            f"{row.get('score', 0):.4f}",
            f"{100 * row.get('drop', 0):.1f} points",
        ]
        for row in epochs
    ]
    header = ("epoch", "training loss", "held-out loss", "held-out score", "lost")
    yield Table(header, rows, frozenset((0, 1, 2, 3, 4)))
