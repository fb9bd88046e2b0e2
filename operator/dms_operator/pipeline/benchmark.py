"""Stage benchmark: latency by every means at hand, power, memory, and accuracy with the target's own arithmetic.

On the board (this machine is it, or it is connected to this node) the compiled artifact itself is timed, and the
figures are `measured`. Elsewhere there is the vendor's cost model and simulator (`simulated`), for TDA4VM without TI's
tools our own model (`estimated`), and the build machine (`host`), and nothing is called measured. The `measured` path
of toolchain qnn has not run on a board yet.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..api.confidence import queries_needed
from ..api.quantities import Memory
from ..api.stages import BenchmarkFacts, BenchmarkRecipe, Provenance
from ..toolchains.base import Arrays, Predicting
from ..toolchains.onnx_graph import read_graph
from . import environment
from .camera_row import camera_job, camera_row
from .context import StageContext, StageOutput
from .golden import GOLDEN
from .golden_outputs import golden
from .latency import PROFILES
from .machine import node_name
from .on_board.job import BoardInputs, BoardJob, BoardRun
from .on_board.run import time_on_cpu
from .passes import Timed
from .power_figures import NO_BOARD, power_fields, unavailable
from .rows import REFERENCE, VARIANT, Row, cpu_jobs, host_row, measured_row, reference_row, simulated_row
from .subject import Subject, subject
from .target_accuracy import TargetAccuracy, first_outputs, judge

REPORT = "report.json"

BOARD_BYTES = 256 << 20
"""Samples that are sent to a board for its accuracy: what a link carries in a minute, and a small board can hold."""


def run(recipe: BenchmarkRecipe, context: StageContext) -> StageOutput:
    """Give the figures, `report.json`, and `golden.npz` for vehicles.

    Raises ArtifactMissing, DatasetInvalid, ToolchainUnavailable, ConversionFailed, WrongTarget, ConverterKilled,
    InvalidSpec (end to end without an image input), BoardUnreachable, BoardRefused, BoardRunFailed.
    """
    found = subject(recipe, context)
    board = _board_run(found, recipe, context)
    machine = board.environment if board else environment.describe()
    timings = board.cpu if board else _cpu_timings(found, recipe, context)
    rows = _rows(found, board, timings, machine, recipe)
    reference = reference_row(timings[REFERENCE], machine, recipe) if REFERENCE in timings else None
    camera = camera_row(rows[0], board, found, recipe, context)
    samples = _samples(found, recipe)
    outputs, provenance = _target_outputs(found, board, samples, context)
    accuracy = _accuracy_on_target(found, outputs, provenance, recipe) if outputs else None
    proof = golden(found, recipe.compiled, samples, outputs, provenance)
    facts = BenchmarkFacts(
        latencies=[row.facts for row in rows],
        latency_note=_no_latency(found, rows),
        throughput=rows[0].throughput,
        **_power_and_memory(found, board, rows[0]),
        reference=reference.facts if reference else None,
        end_to_end=camera.facts if camera else None,
        accuracy_on_target=accuracy.facts if accuracy else None,
        accuracy_on_target_drop=accuracy.drop if accuracy else None,
        accuracy_on_target_interval=accuracy.interval if accuracy else None,
        accuracy_provenance=accuracy.provenance if accuracy else None,
        node=node_name(),
    )
    report = _report(recipe, found, facts, accuracy) | {
        "rows": [row.to_wire() for row in rows],
        "reference": reference.to_wire() if reference else None,
        "endToEnd": camera.to_wire() if camera else None,
        "board": dict(board.environment) | {"runtime": board.version} if board else None,
        "golden": proof.to_wire(),
    }
    directory = context.scratch("benchmark")
    path = directory / REPORT
    path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    return {REPORT: path, GOLDEN: proof.save(directory / GOLDEN)}, facts


def _board_run(found: Subject, recipe: BenchmarkRecipe, context: StageContext) -> BoardRun | None:
    """Time the artifact on its board; None where no board is at hand."""
    if found.board is None:
        return None
    job = BoardJob(
        loading=found.tools.loading(found.compiled),
        profile=PROFILES[recipe.profile],
        warmup=recipe.warmup,
        wanted=queries_needed(recipe.percentile),
        camera=camera_job(found, recipe),
        cpu=cpu_jobs(found, recipe),
    )
    inputs = BoardInputs(
        compiled=found.compiled,
        models=found.models,
        rotation=found.rotation,
        samples=_samples(found, recipe),
        answer=found.reference.outputs[0],
    )
    return found.board.run(job, inputs, context.progress)


def _cpu_timings(found: Subject, recipe: BenchmarkRecipe, context: StageContext) -> Mapping[str, Timed]:
    return {
        name: time_on_cpu(found.models[name], found.rotation, job, recipe.warmup, context.progress)
        for name, job in cpu_jobs(found, recipe).items()
    }


def _rows(
    found: Subject,
    board: BoardRun | None,
    timings: Mapping[str, Timed],
    machine: Mapping[str, Any],
    recipe: BenchmarkRecipe,
) -> list[Row]:
    """Rows from the strongest provenance to the weakest; a CPU that is itself the board is timed once."""
    measured = measured_row(board, recipe) if board else None
    host = host_row(timings[VARIANT], machine, recipe) if VARIANT in timings else None
    return [row for row in (measured, simulated_row(found), host) if row]


def _power_and_memory(found: Subject, board: BoardRun | None, row: Row) -> dict[str, Any]:
    """Fields of BenchmarkFacts; `row` is the strongest."""
    if board is None:
        return unavailable(NO_BOARD) | _least_memory(found)
    power = power_fields(board.power, row)
    if board.peak_bytes is None:
        return power
    return power | {"memory": Memory.of_bytes(board.peak_bytes), "memory_provenance": "measured"}


def _no_latency(found: Subject, rows: Sequence[Row]) -> str:
    if found.tools.name == "onnxruntime" or any(row.facts.provenance != "host" for row in rows):
        return ""
    soc = json.loads((found.compiled / "manifest.json").read_text())["compiled"]["soc"]
    return f"toolchain {found.tools.name} has no cost model for this SoC ({soc}), and no board is at hand"


def _least_memory(found: Subject) -> dict[str, Any]:
    """What has to be there at least: the artifact, inputs and outputs."""
    compiled = json.loads((found.compiled / "manifest.json").read_text())["compiled"]
    tensors = sum(array.nbytes for array in found.rotation[0].values()) + found.reference.outputs[0].nbytes
    return {"memory": Memory.of_bytes(compiled["sizeBytes"] + tensors), "memory_provenance": "estimated"}


def _samples(found: Subject, recipe: BenchmarkRecipe) -> list[Arrays]:
    """The evaluation samples that the target runs.

    A simulator, at seconds each, runs as many as the recipe says; a board all that can be sent to it.
    """
    chosen = found.reference.indices
    if found.board is None:
        return [found.dataset.feed(int(index)) for index in chosen[: recipe.simulation_samples]]
    samples: list[Arrays] = []
    room = BOARD_BYTES
    for index in chosen:
        sample = found.dataset.feed(int(index))
        room -= sum(array.nbytes for array in sample.values())
        if room < 0 and len(samples) >= recipe.simulation_samples:
            break
        samples.append(sample)
    return samples


def _accuracy_on_target(
    found: Subject, outputs: Sequence[Arrays], provenance: Provenance, recipe: BenchmarkRecipe
) -> TargetAccuracy:
    """Compare the target's outputs with the reference's."""
    chosen = found.reference.indices[: len(outputs)]
    labels = None if found.dataset.labels is None else found.dataset.labels[chosen]
    expected = found.reference.outputs[: len(chosen)]
    values = first_outputs(outputs, read_graph(found.model), expected.shape[1:])
    return judge(recipe.metric, values, expected, labels, provenance)


def _target_outputs(
    found: Subject, board: BoardRun | None, samples: list[Arrays], context: StageContext
) -> tuple[list[Arrays] | None, Provenance]:
    """By the strongest means at hand: the board, the vendor's simulator, our own model of the arithmetic; else None."""
    if board:
        return board.outputs, "measured"
    simulated = found.tools.simulate(found.compiled, samples, context.scratch("simulate"), context.progress)
    if simulated is None and isinstance(found.tools, Predicting):
        return found.tools.predict(found.compiled, samples, context.progress), "estimated"
    return simulated, "simulated"


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
