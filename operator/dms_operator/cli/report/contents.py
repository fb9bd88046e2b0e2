"""What a report says, in order. A pure function of spec, status and the artifacts' files."""

from collections.abc import Iterator, Sequence

from dms_operator.api.capabilities import BOARDS
from dms_operator.controller.text import loss

from ..compare.advice import RULES, told
from ..compare.cells import HEADER, sections
from ..compare.cells import Cell as Compared
from ..compare.recommendation import recommend
from ..compare.rows import groups
from ..objects import Deployment
from . import ladder, target
from .document import Block, Cell, Document, Figure, Items, Section, Table, Tag, Text
from .evidence import Evidence, VariantFiles
from .reproduce import reproduce


def report(deployment: Deployment, evidence: Evidence) -> Document:
    """The whole report."""
    status = deployment.status
    revision = status.revision.current if status.revision else None
    name = f"{deployment.metadata.namespace}/{deployment.name}"
    return Document(
        title=name,
        subtitle=f"Revision {revision or 'none yet'}, generation {deployment.metadata.generation}",
        verdict=Tag(status.phase or "Pending"),
        sections=[
            _summary(deployment, evidence),
            _comparison(deployment),
            _recommendation(deployment),
            _ladder(deployment),
            *_made(deployment, evidence),
            *_targets(deployment, evidence),
            reproduce(deployment, evidence),
        ],
    )


def _summary(deployment: Deployment, evidence: Evidence) -> Section:
    status, spec = deployment.status, deployment.spec
    lines = [status.summary.message] if status.summary and status.summary.message else []
    model = status.model
    if model:
        inputs = ", ".join(f"{each.name} {each.shape} {each.dtype}" for each in model.inputs)
        lines.append(f"Model: {model.format}, {model.parameters:,} parameters, inputs {inputs}, {model.digest}")
    budget = spec.benchmark
    power = f", power at most {budget.power_budget}" if budget.power_budget else ", no power budget"
    lines.append(
        f"Asked for: p{budget.percentile:g} at most {budget.latency_budget}{power}, accuracy drop at most "
        f"{loss(spec.dataset.metric, spec.quantization.max_accuracy_drop)} of {spec.dataset.metric}, "
        f"evidence at least {budget.min_provenance}"
    )
    if not deployment.is_current or status.phase not in ("Ready", "Failed"):
        lines.append("Not at its end: figures below may be incomplete.")
    missing = [f"Not in this report: {problem}" for problem in evidence.problems]
    return Section("Summary", [*(Text(line) for line in lines), *(Text(line, quiet=True) for line in missing)])


def _comparison(deployment: Deployment) -> Section:
    blocks: list[Block] = []
    for section in sections(groups([deployment])):
        notes: dict[str, int] = {}
        rows: list[list[Cell]] = [
            [line.platform, line.precision, *(_compared(cell, notes) for cell in line.cells)] for line in section.lines
        ]
        blocks.append(Table(HEADER, rows))
        blocks += [Text(f"[{number}] {text}", quiet=True) for text, number in notes.items()]
    return Section("Platforms and precisions", blocks or [Text("Nothing to compare yet.")])


def _compared(cell: Compared, notes: dict[str, int]) -> Figure:
    for note in cell.notes:
        notes.setdefault(note, len(notes) + 1)
    remarks = (["noisy"] if cell.noisy else []) + [f"[{notes[note]}]" for note in cell.notes]
    on_target = _compared(cell.on_target, notes) if cell.on_target else None
    return Figure(cell.text, Tag(cell.provenance), " ".join(remarks), on_target)


def _recommendation(deployment: Deployment) -> Section:
    advice = recommend([deployment])
    used = dict.fromkeys(each.rule for each in advice)
    rules = [Text(f"{rule}: {RULES[rule]}", quiet=True) for rule in used]
    return Section("Recommendation", [Items([f"{each.rule}: {told(each)}" for each in advice]), *rules])


def _ladder(deployment: Deployment) -> Section:
    """Every variant that was made, in order, and where it ended."""
    rows: list[list[Cell]] = []
    for variant in deployment.status.variants:
        found = variant.accuracy
        score = f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}] n={found.samples}"
        outcome = ladder.outcome(variant, deployment.status.targets)
        made = " ".join(filter(None, (variant.method, variant.calibration)))
        cells: Sequence[Cell] = (
            variant.name,
            variant.scheme,
            made,
            Figure(f"{found.metric} {score}", Tag("host")),
            loss(found.metric, variant.accuracy_drop),
            f"{variant.size_bytes / 1e6:.2f}",
            "" if variant.seconds is None else f"{variant.seconds:.0f} s",
            outcome + (f" ({variant.notes})" if variant.notes else ""),
        )
        rows.append(list(cells))
    header = ("variant", "scheme", "made by", "accuracy [95 %]", "lost", "ONNX MB", "took", "why it ended where it did")
    return Section("Precision ladder", [Table(header, rows)] if rows else [Text("No variant was made yet.")])


def _made(deployment: Deployment, evidence: Evidence) -> Iterator[Section]:
    for variant in deployment.status.variants:
        yield from ladder.section(variant.name, evidence.variants.get(variant.name, VariantFiles()))


def _targets(deployment: Deployment, evidence: Evidence) -> Iterator[Section]:
    for each in deployment.status.targets:
        title = f"Target {each.name}: {BOARDS[each.board].title.split(',')[0]} by {each.toolchain}"
        state = f"{each.state}: {each.message}" if each.message else each.state
        yield Section(title, [Text(state)])
        for candidate in each.candidates:
            yield target.section(each, candidate, evidence.of(each, candidate))
