"""Stage benchmark: latency by every means at hand, and accuracy with the target's own arithmetic.

On the board (the toolchain finds its compute unit in this machine) the compiled artifact itself is timed, and the
figures are `measured`. Elsewhere there is the vendor's cost model (`simulated`) and the build machine (`host`), and
nothing is called measured. The `measured` path of toolchain qnn has not run on a board yet.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..api.errors import ArtifactMissing
from ..api.stages import BenchmarkFacts, BenchmarkRecipe, LatencyFacts, Provenance
from ..toolchains.base import Arrays, Session, Toolchain
from ..toolchains.onnx_graph import read_graph
from ..toolchains.onnxruntime_cpu import open_cpu_session
from ..toolchains.registry import toolchain
from . import environment
from .context import StageContext, StageOutput
from .dataset import Dataset
from .evaluate import Reference
from .inputs import load_samples
from .latency import PROFILES, latency_facts, measure
from .target_accuracy import TargetAccuracy, first_outputs, judge

REPORT = "report.json"


@dataclass(frozen=True)
class _Subject:
    """What is benchmarked: files of the three artifacts, the toolchain, samples, and the reference's answers."""

    tools: Toolchain
    compiled: Path
    """Directory of the compiled artifact."""
    model: Path
    """The variant's ONNX model."""
    dataset: Dataset
    reference: Reference
    board: Session | None
    """The compiled artifact loaded on the board's own compute unit; None on every other machine."""


@dataclass(frozen=True)
class _Row:
    """Latency of one provenance, and inferences per second."""

    facts: LatencyFacts
    throughput: float


def run(recipe: BenchmarkRecipe, context: StageContext) -> StageOutput:
    """Give the figures and `report.json`.

    Raises ArtifactMissing, DatasetInvalid, ToolchainUnavailable, ConversionFailed, WrongTarget, ConverterKilled.
    """
    subject = _subject(recipe, context)
    rows = _latencies(subject, recipe, context)
    accuracy = _accuracy_on_target(subject, recipe, context)
    facts = BenchmarkFacts(
        latencies=[row.facts for row in rows],
        throughput=rows[0].throughput,
        accuracy_on_target=accuracy.facts if accuracy else None,
        accuracy_on_target_drop=accuracy.drop if accuracy else None,
        accuracy_provenance=accuracy.provenance if accuracy else None,
        node=environment.node_name(),
    )
    path = context.scratch("benchmark") / REPORT
    path.write_text(json.dumps(_report(recipe, subject, rows, facts, accuracy), indent=2, sort_keys=True) + "\n")
    return {REPORT: path}, facts


def _subject(recipe: BenchmarkRecipe, context: StageContext) -> _Subject:
    resolved, variant, compiled = (
        context.fetch(digest) for digest in (recipe.resolved, recipe.variant, recipe.compiled)
    )
    if "model.onnx" not in variant or "manifest.json" not in compiled:
        raise ArtifactMissing("the variant or the compiled artifact lacks its files", hint="Run its stage again")
    tools, directory = toolchain(recipe.toolchain), compiled["manifest.json"].parent
    return _Subject(
        tools=tools,
        compiled=directory,
        model=variant["model.onnx"],
        dataset=load_samples(resolved, context.limit_bytes, labels_required=recipe.metric != "cosine"),
        reference=Reference.load(variant),
        board=tools.session(directory) if tools.has_target(recipe.board) else None,
    )


def _latencies(subject: _Subject, recipe: BenchmarkRecipe, context: StageContext) -> list[_Row]:
    """Rows from the strongest provenance to the weakest; a CPU that is itself the board is timed once."""
    rows = []
    if subject.board:
        source = f"{subject.tools.version} on {environment.cpu_name()}"
        rows.append(_timed(subject.board, subject, recipe, context, "measured", source))
    if simulated := subject.tools.cost(subject.compiled):
        rows.append(_Row(simulated, 1 / simulated.p50.value if simulated.p50.value else 0.0))
    if not (subject.board and recipe.toolchain == "onnxruntime"):
        host = environment.describe()
        source = f"onnxruntime {host['onnxruntime']} on {host['machine']} ({host['cpu']}, {host['cores']} cores)"
        rows.append(_timed(open_cpu_session(subject.model), subject, recipe, context, "host", source))
    return rows


def _timed(
    session: Session,
    subject: _Subject,
    recipe: BenchmarkRecipe,
    context: StageContext,
    provenance: Provenance,
    source: str,
) -> _Row:
    query = session.query(subject.dataset.feed(int(subject.reference.indices[0])))
    timing = measure(
        query,
        PROFILES[recipe.profile],
        recipe.warmup,
        lambda done, total: context.progress(f"time-{provenance}", done, total),
    )
    return _Row(latency_facts(timing, recipe.percentile, provenance, source), timing.throughput)


def _accuracy_on_target(subject: _Subject, recipe: BenchmarkRecipe, context: StageContext) -> TargetAccuracy | None:
    """Compare the target's outputs with the reference's; None where neither board nor simulator is at hand."""
    chosen = subject.reference.indices[: recipe.simulation_samples]
    samples: list[Arrays] = [subject.dataset.feed(int(index)) for index in chosen]
    provenance: Provenance = "measured" if subject.board else "simulated"
    outputs: list[Arrays] | None
    if subject.board:
        outputs = [subject.board.run(sample) for sample in samples]
    else:
        outputs = subject.tools.simulate(subject.compiled, samples, context.scratch("simulate"), context.progress)
    if outputs is None:
        return None
    labels = None if subject.dataset.labels is None else subject.dataset.labels[chosen]
    expected = subject.reference.outputs[: len(chosen)]
    values = first_outputs(outputs, read_graph(subject.model), expected.shape[1:])
    return judge(recipe.metric, values, expected, labels, provenance)


def _report(
    recipe: BenchmarkRecipe,
    subject: _Subject,
    rows: list[_Row],
    facts: BenchmarkFacts,
    accuracy: TargetAccuracy | None,
) -> dict[str, Any]:
    manifest = json.loads((subject.compiled / "manifest.json").read_text())
    return {
        "recipe": recipe.to_wire(),
        "benchmark": facts.to_wire(),
        "rows": [row.facts.to_wire() | {"throughput": row.throughput} for row in rows],
        "errors": accuracy.errors if accuracy else None,
        "compiled": manifest.get("compiled"),
        "environment": environment.describe() | {"toolchain": subject.tools.version},
    }
