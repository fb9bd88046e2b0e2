"""Stage benchmark: latency by every means at hand, power, memory, and accuracy with the target's own arithmetic.

On the board (the toolchain finds its compute unit in this machine) the compiled artifact itself is timed, and the
figures are `measured`. Elsewhere there is the vendor's cost model (`simulated`) and the build machine (`host`), and
nothing is called measured. The `measured` path of toolchain qnn has not run on a board yet.
"""

import json
from pathlib import Path
from typing import Any

from ..api.quantities import Memory
from ..api.stages import BenchmarkFacts, BenchmarkRecipe, Provenance
from ..toolchains.base import Arrays, Session
from ..toolchains.onnx_graph import read_graph
from . import environment
from .camera_row import camera_row
from .context import StageContext, StageOutput
from .power_figures import NO_BOARD, unavailable, with_power
from .rows import Row, board_row, host_row, reference_row, simulated_row
from .subject import Loaded, Subject, subject
from .target_accuracy import TargetAccuracy, first_outputs, judge

REPORT = "report.json"


def run(recipe: BenchmarkRecipe, context: StageContext) -> StageOutput:
    """Give the figures and `report.json`.

    Raises ArtifactMissing, DatasetInvalid, ToolchainUnavailable, ConversionFailed, WrongTarget, ConverterKilled,
    InvalidSpec (end to end without an image input).
    """
    found = subject(recipe, context)
    rows, board = _latencies(found, recipe, context)
    reference = None if found.is_reference else reference_row(found, recipe, context)
    camera = camera_row(rows[0], found, recipe, context)
    accuracy = _accuracy_on_target(found, recipe, context)
    facts = BenchmarkFacts(
        latencies=[row.facts for row in rows],
        throughput=rows[0].throughput,
        **board,
        reference=reference.facts if reference else None,
        end_to_end=camera.facts if camera else None,
        accuracy_on_target=accuracy.facts if accuracy else None,
        accuracy_on_target_drop=accuracy.drop if accuracy else None,
        accuracy_provenance=accuracy.provenance if accuracy else None,
        node=environment.node_name(),
    )
    report = _report(recipe, found, facts, accuracy) | {
        "rows": [row.to_wire() for row in rows],
        "reference": reference.to_wire() if reference else None,
        "endToEnd": camera.to_wire() if camera else None,
    }
    path = context.scratch("benchmark") / REPORT
    path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    return {REPORT: path}, facts


def _latencies(found: Subject, recipe: BenchmarkRecipe, context: StageContext) -> tuple[list[Row], dict[str, Any]]:
    """Rows from the strongest provenance to the weakest; a CPU that is itself the board is timed once.

    Beside them the fields of BenchmarkFacts about power and memory: taken before another model is loaded.
    """
    rows, board = [], found.board
    extras = unavailable(NO_BOARD) | _least_memory(found)
    if board:
        measured, power = with_power(lambda: board_row(board, found, recipe, context))
        rows.append(measured)
        extras = power | _peak_memory(board)
    if simulated := simulated_row(found):
        rows.append(simulated)
    if not (board and recipe.toolchain == "onnxruntime"):
        rows.append(host_row(found, recipe, context))
    return rows, extras


def _peak_memory(board: Loaded[Session]) -> dict[str, Any]:
    peak = board.memory.peak_bytes()
    return {} if peak is None else {"memory": Memory.of_bytes(peak), "memory_provenance": "measured"}


def _least_memory(found: Subject) -> dict[str, Any]:
    """What has to be there at least: the artifact, inputs and outputs."""
    compiled = json.loads((found.compiled / "manifest.json").read_text())["compiled"]
    tensors = sum(array.nbytes for array in found.rotation[0].values()) + found.reference.outputs[0].nbytes
    return {"memory": Memory.of_bytes(compiled["sizeBytes"] + tensors), "memory_provenance": "estimated"}


def _accuracy_on_target(found: Subject, recipe: BenchmarkRecipe, context: StageContext) -> TargetAccuracy | None:
    """Compare the target's outputs with the reference's; None where neither board nor simulator is at hand."""
    chosen = found.reference.indices[: recipe.simulation_samples]
    samples: list[Arrays] = [found.dataset.feed(int(index)) for index in chosen]
    provenance: Provenance = "measured" if found.board else "simulated"
    outputs: list[Arrays] | None
    if found.board:
        outputs = [found.board.session.run(sample) for sample in samples]
    else:
        outputs = found.tools.simulate(found.compiled, samples, context.scratch("simulate"), context.progress)
    if outputs is None:
        return None
    labels = None if found.dataset.labels is None else found.dataset.labels[chosen]
    expected = found.reference.outputs[: len(chosen)]
    values = first_outputs(outputs, read_graph(found.model), expected.shape[1:])
    return judge(recipe.metric, values, expected, labels, provenance)


def _report(
    recipe: BenchmarkRecipe, found: Subject, facts: BenchmarkFacts, accuracy: TargetAccuracy | None
) -> dict[str, Any]:
    manifest = json.loads(Path(found.compiled / "manifest.json").read_text())
    return {
        "recipe": recipe.to_wire(),
        "benchmark": facts.to_wire(),
        "errors": accuracy.errors if accuracy else None,
        "compiled": manifest.get("compiled"),
        "environment": environment.describe() | {"toolchain": found.tools.version},
    }
