"""One candidate on one target: gates, latency, power, delegation, layers, environment."""

from collections.abc import Iterator, Mapping
from typing import Any

from dms_operator.api.quantities import Duration
from dms_operator.api.stages import LatencyFacts
from dms_operator.api.status import BenchmarkStatus, CandidateStatus, TargetStatus

from ..compare.cells import UNAVAILABLE, UNKNOWN
from .document import Block, Cell, Figure, Picture, Section, Table, Tag, Text
from .evidence import Files
from .picture import histogram

TOP_LAYERS = 12
_FIGURES = ("p50", "p90", "p95", "p99", "p999", "bound", "mean", "min", "max", "stddev", "first", "load")
_NAMES = {"p999": "p99.9", "bound": "at most", "first": "first inference"}


def section(target: TargetStatus, candidate: CandidateStatus, files: Files) -> Section:
    """Everything about it."""
    selected = target.state == "Ready" and target.variant == candidate.variant
    title = f"{candidate.variant} on {target.name}" + (" (selected)" if selected else "")
    return Section(title, list(_blocks(candidate, files)), level=2)


def _blocks(candidate: CandidateStatus, files: Files) -> Iterator[Block]:
    rows: list[list[Cell]] = [
        [gate.name, Tag(gate.outcome), gate.value, gate.limit, gate.message] for gate in candidate.gates
    ]
    if rows:
        yield Table(("gate", "outcome", "found", "allowed", "inputs"), rows)
    if candidate.benchmark:
        yield from _latency(candidate.benchmark, files.benchmark)
        yield _board_figures(candidate.benchmark)
    yield from _delegation(candidate, files.manifest)
    yield from _layers(files.layers)
    yield from _environment(candidate, files.benchmark)


def _latency(benchmark: BenchmarkStatus, report: Mapping[str, Any]) -> Iterator[Block]:
    """All distributions side by side, then a drawing of each that has queries."""
    columns = list(_distributions(benchmark))
    rows: list[list[Cell]] = [["provenance", *(Tag(facts.provenance) for _, facts in columns)]]
    for name in _FIGURES:
        values: list[Duration | None] = [getattr(facts, name) for _, facts in columns]
        if any(values):
            rows.append([_NAMES.get(name, name), *(value or "-" for value in values)])
    rows.append(["queries", *(f"{facts.samples:,}" if facts.samples else "none: a model" for _, facts in columns)])
    rows.append(["remarks", *(facts.notes or "-" for _, facts in columns)])
    rows.append(["source", *(facts.source for _, facts in columns)])
    yield Table(("latency", *(title for title, _ in columns)), rows)
    for row in report.get("rows", []):
        if "distribution" in row:
            yield _picture(row)


def _distributions(benchmark: BenchmarkStatus) -> Iterator[tuple[str, LatencyFacts]]:
    for latency in benchmark.latencies:
        yield "this variant", latency
    if benchmark.reference:
        yield "fp32 reference", benchmark.reference
    if benchmark.end_to_end:
        yield "camera to decision", benchmark.end_to_end


def _picture(row: Mapping[str, Any]) -> Picture:
    names = {"p50": "p50", "p90": "p90", "p99": "p99", "bound": "at most", "max": "max"}
    marks = {label: Duration.parse(row[name]).value * 1e3 for name, label in names.items() if name in row}
    found = row["distribution"]
    caption = f"{row['samples']:,} queries, {row['provenance']}: {row['source']}. Heights by the square root of counts."
    return Picture(histogram(found["edges"], found["counts"], marks), caption)


def _board_figures(found: BenchmarkStatus) -> Table:
    """Throughput, power, energy and memory; what is unavailable says why."""
    strongest = found.latencies[0].provenance if found.latencies else UNAVAILABLE
    why = found.power_note or found.power_source
    throughput = f"{found.throughput:,.0f} /s" if found.throughput else ""
    origin, source = found.power_provenance, found.power_source if found.power else why
    energy = "(load - idle) x time / inferences"
    rows: list[list[Cell]] = [
        ["throughput", _figure(throughput, strongest), "one after the other"],
        ["power above idle", _figure(found.power, origin), source],
        ["idle power", _figure(found.idle_power, origin), why],
        ["energy per inference", _figure(found.energy_per_inference, origin), energy],
        ["memory", _figure(found.memory, found.memory_provenance), _memory_note(found)],
    ]
    return Table(("figure", "value", "how"), rows)


def _figure(value: str | None, provenance: str | None) -> Figure:
    return Figure(str(value), Tag(provenance or UNKNOWN)) if value else Figure("", Tag(UNAVAILABLE))


def _memory_note(found: BenchmarkStatus) -> str:
    return "at least: weights and tensors" if found.memory_provenance == "estimated" else "peak of the process"


def _delegation(candidate: CandidateStatus, manifest: Mapping[str, Any]) -> Iterator[Block]:
    compiled = candidate.compiled
    if compiled is None:
        return
    found = compiled.delegation
    where = f"{compiled.soc} {compiled.architecture}".strip()
    yield Text(
        f"Delegation: {found.npu} of {found.total} nodes on the NPU of {where}, compiled by {compiled.tool_version}"
    )
    nodes: list[list[Cell]] = [
        [str(node.get(key, "")) for key in ("node", "opType", "shape", "reason")]
        for node in manifest.get("cpuNodes", [])
    ]
    if nodes:
        yield Table(("node on the CPU", "operator", "shape", "reason"), nodes)


def _layers(profile: Mapping[str, Any]) -> Iterator[Block]:
    """The costliest operators by the vendor's cost model."""
    layers = [layer for layer in profile.get("layers", []) if layer.get("cycles")]
    if not layers:
        return
    top = sorted(layers, key=lambda layer: -layer["cycles"])[:TOP_LAYERS]
    rows: list[list[Cell]] = [
        [
            layer["name"],
            f"{layer['cycles']:,}",
            f"{layer.get('share', 0):.1%}",
            f"{layer.get('ddrBytes', 0):,}",
            ", ".join(layer.get("nodes", [])),
        ]
        for layer in top
    ]
    shown = sum(layer.get("share", 0) for layer in top)
    cost = profile.get("costModel", {})
    bounds = f"{cost.get('timeUs', '?')} us, {cost.get('lowerUs', '?')} to {cost.get('upperUs', '?')}"
    yield Text(
        f"The {len(top)} costliest of {len(layers)} operators, {shown:.0%} of all cycles (simulated: cost model "
        f"{profile.get('soc', '')}, {bounds})"
    )
    header = ("operator", "cycles", "share", "DDR bytes", "ONNX nodes")
    yield Table(header, rows, frozenset((1, 2, 3)))


def _environment(candidate: CandidateStatus, report: Mapping[str, Any]) -> Iterator[Block]:
    found = report.get("environment", {})
    if found:
        told = ", ".join(f"{name} {value}" for name, value in sorted(found.items()))
        yield Text(f"Benchmarked on: {told}", quiet=True)
    elif candidate.benchmark and candidate.benchmark.node:
        yield Text(f"Benchmarked on node {candidate.benchmark.node}", quiet=True)
