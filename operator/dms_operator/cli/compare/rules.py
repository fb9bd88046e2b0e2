"""The rules of a recommendation, each a pure function of the rows."""

from collections.abc import Iterator, Sequence

from dms_operator.api.capabilities import BOARDS
from dms_operator.api.stages import LOWER_IS_BETTER, AccuracyFacts, LatencyFacts
from dms_operator.controller.ladder import MODEL_REASONS
from dms_operator.controller.text import clip

from ..objects import Deployment
from .advice import Advice, drop_figures, latency_figure, place, share
from .ratios import Change, Ratio, changes
from .rows import Group, Row

ENTRY, HIGH_END = "entry", "high-end"
_CLASSES = (ENTRY, HIGH_END)

WHY_LIMIT = 240
"""Letters of a reason in a line; the notes below the table have all of it."""

FAMILIES = {("latency", "power"): "MobileNetV3", ("accuracy", "accuracyOnTarget"): "EfficientNet-Lite"}
"""Which backbone is worth a try when one of these gates fails: few multiplications, or activations that quantize well
(Howard et al. 2019; Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite")."""


def price_class(board: str) -> str | None:
    """The catalog's price class of a board; None where it is not known."""
    known = BOARDS[board].price_class
    return known.value if known else None


def chosen(group: Group) -> Row | None:
    """INT8 where it passes, else the fastest that passes."""
    passing = [row for row in group.rows if row.passes]
    return min(passing, key=lambda row: (row.precision != "int8", _upper(row)), default=None)


def ranked(groups: Sequence[Group]) -> list[Group]:
    """Platforms from entry to dear; those of unknown price last, among equals the faster first."""

    def rank(group: Group) -> tuple[int, float]:
        known, row = price_class(group.board), chosen(group)
        return _CLASSES.index(known) if known in _CLASSES else len(_CLASSES), _upper(row) if row else 0.0

    return sorted(groups, key=rank)


def board(groups: Sequence[Group]) -> Iterator[Advice]:
    """Rules budget and entry-board, for the platforms of one model."""
    passing = [group for group in ranked(groups) if chosen(group)]
    failing = [group for group in ranked(groups) if group not in passing]
    if passing:
        best = chosen(passing[0])
        assert best
        others = [latency_figure(row) for row in map(chosen, passing[1:]) if row]
        yield Advice("entry-board", f"Use {place(best)}{_class(best)}", (latency_figure(best), *others))
    for group in failing:
        yield Advice("budget", *_failed(group))
    yield from _absent_classes(groups, passing)


def _absent_classes(groups: Sequence[Group], passing: Sequence[Group]) -> Iterator[Advice]:
    present = {price_class(group.board) for group in groups}
    if ENTRY not in present:
        text = f"Whether an entry board is enough is open: add a target for {_of_class(ENTRY)}"
        yield Advice("entry-board", text, missing=True)
    if not passing and HIGH_END not in present:
        text = f"Whether a dearer board passes is open: add a target for {_of_class(HIGH_END)}"
        yield Advice("entry-board", text, missing=True)


def _of_class(wanted: str) -> str:
    return " or ".join(name for name in BOARDS if price_class(name) == wanted)


def _class(row: Row) -> str:
    known = price_class(row.target.board)
    return f" ({known} board)" if known else ""


def _failed(group: Group) -> tuple[str, tuple[str, ...], bool]:
    """Text, figures and whether figures are missing, for a platform on which nothing passed."""
    tried = [row for row in group.rows if row.candidate]
    last = next((row for row in tried if row.precision == "int8"), tried[-1] if tried else group.rows[-1])
    miss = last.miss
    why = clip(last.why or last.target.message or "not benchmarked yet", WHY_LIMIT)
    if miss is None and last.target.reason in MODEL_REASONS:
        return f"{group.board} does not pass", (f"{last.target.reason}: {why}",), False
    if miss is None:
        return f"{group.board} cannot be judged: {why}", (), True
    if miss.outcome == "Inconclusive" or miss.name == "provenance":
        return f"{group.board} cannot be judged: {miss.message}", (latency_figure(last),), True
    return f"{group.board} does not pass: {place(last)} {miss.message}", (latency_figure(last),), False


def int8_first(group: Group) -> Iterator[Advice]:
    """Rule int8-first on one platform."""
    row, best = group.row("int8"), chosen(group)
    if row is None or row.variant is None:
        text = f"INT8 has not been tried on {group.board}: {_why(row) or 'add int8 to its precisions'}"
        yield Advice("int8-first", text, missing=True)
    elif row.passes:
        yield Advice(
            "int8-first",
            f"INT8 passes on {group.board}",
            (*drop_figures(row), *_gains(group)),
        )
    elif best:
        miss = row.miss.message if row.miss else row.why
        figures = (*drop_figures(row), latency_figure(best))
        yield Advice("int8-first", f"{place(best)} in place of INT8, which does not pass: {miss}", figures)


def _why(row: Row | None) -> str:
    return row.why if row else ""


def _gains(group: Group) -> Iterator[str]:
    for change in changes(group):
        told = [f"{name} {ratio}" for name, ratio in change.ratios.items() if not _elsewhere(change, ratio)]
        if told:
            yield f"{step(change)}: {', '.join(told)}"


def _elsewhere(change: Change, ratio: Ratio) -> bool:
    """Whether a ratio is of the build machine, which is no argument for the platform."""
    return ratio.origin == "host" and change.int8.target.toolchain != "onnxruntime"


def step(change: Change) -> str:
    """Such as `FP32 -> INT8`."""
    return f"{change.base.precision.upper()} -> INT8"


def qat(group: Group, static: Sequence[Row], trained: Sequence[Row]) -> Iterator[Advice]:
    """Rule qat-when-needed on one platform; `static` and `trained` are its INT8 variants by method."""
    judged = [row for row in (*static, *trained) if row.gate("accuracy")]
    if not judged:
        return
    post, after = ([row for row in judged if row in rows] for rows in (static, trained))
    figures = tuple(figure for row in (*_best(post), *_best(after)) for figure in drop_figures(row))
    text, missing = _need(group, post, after)
    yield Advice("qat-when-needed", text, figures, missing)


def _need(group: Group, static: Sequence[Row], trained: Sequence[Row]) -> tuple[str, bool]:
    """Text, and whether something is missing."""
    if _outcomes(static) & {"Pass"}:
        return f"QAT is not needed for {group.board}", False
    if _outcomes(trained) & {"Pass"}:
        return f"QAT for {group.board}: it keeps the accuracy, post-training quantization does not", False
    if _outcomes([*static, *trained]) & {"Inconclusive"}:
        return f"Whether {group.board} needs QAT is open: the samples do not decide it", True
    if trained:
        return f"QAT does not keep the accuracy on {group.board}: more epochs, more training samples, or FP16", False
    if group.rows[0].format != "pt2":
        return f"QAT is needed for {group.board}, but trains PyTorch programs only: give the model as .pt2", True
    return f"QAT is needed for {group.board} and has not been tried: set quantization.method to auto or qat", True


def _outcomes(rows: Sequence[Row]) -> set[str]:
    """What the accuracy gate said."""
    return {gate.outcome for row in rows for gate in [row.gate("accuracy")] if gate}


def _best(rows: Sequence[Row]) -> list[Row]:
    """The row that lost least, if there is any."""
    return sorted(rows, key=lambda row: row.variant.accuracy_drop if row.variant else 0.0)[:1]


def backbone(models: Sequence[Sequence[Group]]) -> Iterator[Advice]:
    """Rule backbone; the groups of each model."""
    if len(models) > 1:
        yield from _fastest(models)
    for groups in models:
        yield from _other_backbone(groups, alone=len(models) == 1)


def _fastest(models: Sequence[Sequence[Group]]) -> Iterator[Advice]:
    """Of several models, by platform."""
    boards = dict.fromkeys(group.board for groups in models for group in groups)
    for name in boards:
        rows = [row for groups in models for group in groups if group.board == name for row in [chosen(group)] if row]
        if len(rows) < 2:
            continue
        figures = tuple(f"{row.deployment}: {latency_figure(row)}, {_accuracy(row)}" for row in rows)
        near = _as_accurate([(row, row.variant.accuracy) for row in rows if row.variant])
        if near:
            yield Advice("backbone", f"{min(near, key=_upper).deployment} is the model for {name}", figures)
        else:
            text = f"Which model suits {name} is open: they are scored differently, or each against its own float model"
            yield Advice("backbone", text, figures, missing=True)


def _as_accurate(scored: Sequence[tuple[Row, AccuracyFacts]]) -> list[Row]:
    """The rows whose interval reaches that of the best; none where the scores cannot be compared."""
    metrics = {found.metric for _, found in scored}
    if len(metrics) > 1 or "cosine" in metrics:
        return []
    if metrics <= LOWER_IS_BETTER:
        best = min((found for _, found in scored), key=lambda found: found.value)
        return [row for row, found in scored if found.low <= best.high]
    best = max((found for _, found in scored), key=lambda found: found.value)
    return [row for row, found in scored if found.high >= best.low]


def _accuracy(row: Row) -> str:
    assert row.variant
    found = row.variant.accuracy
    return f"{found.metric} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] host"


def _other_backbone(groups: Sequence[Group], *, alone: bool) -> Iterator[Advice]:
    """Whether a model needs another backbone; of several models those that pass were compared already."""
    passing = [row for group in groups for row in [chosen(group)] if row]
    name = groups[0].rows[0].deployment
    if passing:
        if not alone:
            return
        best = min(passing, key=_upper)
        yield Advice("backbone", f"{name} may keep its backbone{_headroom(best)}", (latency_figure(best),))
        return
    misses = {row.miss.name: row for group in groups for row in group.rows if row.miss and row.miss.outcome == "Fail"}
    for gates, family in FAMILIES.items():
        found = next((misses[gate] for gate in gates if gate in misses), None)
        if found and found.miss:
            text = f"{family} is worth a try for {name}: deploy it and compare, its figures here are not known"
            yield Advice("backbone", text, (f"{place(found)}: {found.miss.message}",), missing=True)


def _headroom(row: Row) -> str:
    latency, budget = row.judged, row.spec.benchmark.latency_budget
    bound = latency.bound if latency else None
    return f": it uses {share(bound.value, budget.value)} of the latency budget" if bound else ""


def unfinished(deployments: Sequence[Deployment]) -> Iterator[Advice]:
    """Rule evidence: deployments that are still on their way."""
    for each in deployments:
        if not each.is_current or each.status.phase not in ("Ready", "Failed"):
            text = f"{each.name} is {each.status.phase or 'Pending'}, not at its end: compare again later"
            yield Advice("evidence", text, missing=True)


def evidence(groups: Sequence[Group]) -> Iterator[Advice]:
    """Rule evidence, for all platforms together."""
    rows = [row for group in groups for row in group.rows if row.benchmark]
    unproven = [row for row in rows if row.latency and row.latency.provenance != "measured"]
    boards = dict.fromkeys(row.target.board for row in unproven)
    if boards:
        labels = ", ".join(f"dms.edge/board={name}" for name in boards)
        text = f"Nothing is measured on {', '.join(boards)}: label a node {labels}, and set minProvenance: measured"
        yield Advice("evidence", text, tuple(dict.fromkeys(map(_source, filter(None, map(_latency, unproven))))), True)
    powerless = [row for row in rows if row.benchmark and row.benchmark.power is None]
    notes = dict.fromkeys(row.benchmark.power_note for row in powerless if row.benchmark)
    if powerless:
        where = ", ".join(dict.fromkeys(place(row) for row in powerless))
        yield Advice("evidence", f"Power is unavailable for {where}, so it decided nothing", tuple(notes), True)


def _latency(row: Row) -> LatencyFacts | None:
    return row.latency


def _source(latency: LatencyFacts) -> str:
    return f"{latency.provenance}: {latency.source}"


def _upper(row: Row) -> float:
    figure = row.judged and (row.judged.bound or row.judged.p50)
    return figure.value if figure else float("inf")
