"""Rows of a benchmark: one latency distribution for each means at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api.confidence import queries_needed
from ..api.stages import BenchmarkRecipe, LatencyFacts, Provenance
from .distribution import distribution
from .latency import PROFILES, Profile, Timing
from .latency_figures import latency_facts
from .on_board.job import BoardRun, CpuJob
from .passes import Pass, Timed, outcome
from .subject import Subject

REFERENCE_PROFILE = Profile(64, 3.0)
"""Of the fp32 reference and of processing alone: their medians make ratios, no budget is held against them."""

VARIANT = "variant"
REFERENCE = "reference"
"""Names of the models that a CPU is timed with."""

_NOTES_LIMIT = 300


@dataclass(frozen=True)
class Row:
    """Latency of one provenance, and what the report tells of its runs."""

    facts: LatencyFacts
    passes: list[Pass] = field(default_factory=list)
    timing: Timing | None = None
    """The run that counts; None for a cost model."""

    @property
    def throughput(self) -> float:
        """Inferences per second, one after the other."""
        if self.facts.throughput is not None:
            return self.facts.throughput
        return 1 / self.facts.p50.value if self.facts.p50.value else 0.0

    def to_wire(self) -> dict[str, Any]:
        """For the report."""
        found = self.facts.to_wire() | {"throughput": self.throughput}
        found["passes"] = [each.to_wire() for each in self.passes]
        return found | ({"distribution": distribution(self.timing.nanoseconds)} if self.timing else {})


def timed_row(timed: Timed, provenance: Provenance, source: str, recipe: BenchmarkRecipe) -> Row:
    """Figures of a model's passes."""
    found = outcome(timed.passes)
    facts = latency_facts(found.timing, recipe.percentile, provenance, source, timed.load_seconds)
    notes = "; ".join(filter(None, [found.notes, facts.notes]))[:_NOTES_LIMIT]
    return Row(facts.model_copy(update={"noisy": found.noisy, "notes": notes}), timed.passes, found.timing)


def measured_row(run: BoardRun, recipe: BenchmarkRecipe) -> Row:
    """The compiled artifact on the board's own compute unit."""
    return timed_row(run.target, "measured", f"{run.version} on {run.environment['cpu']}", recipe)


def cpu_jobs(subject: Subject, recipe: BenchmarkRecipe) -> dict[str, CpuJob]:
    """What is timed on the CPU of the board, or where there is none of this machine.

    The variant, unless that CPU is the board itself and times it anyway (toolchain onnxruntime), and the fp32 model.
    """
    on_cpu = recipe.toolchain == "onnxruntime"
    jobs = {}
    if not (subject.board and on_cpu):
        wanted = queries_needed(recipe.percentile) if on_cpu else 0
        profile = PROFILES[recipe.profile] if on_cpu else shorter(recipe, PROFILES["quick"])
        jobs[VARIANT] = CpuJob("time-host", profile, wanted, repeat=on_cpu)
    if not subject.is_reference:
        jobs[REFERENCE] = CpuJob("time-fp32", shorter(recipe))
    return jobs


def host_row(timed: Timed, machine: Mapping[str, Any], recipe: BenchmarkRecipe) -> Row:
    """The variant on a CPU, which is the target only for toolchain onnxruntime."""
    return timed_row(timed, "host", host_source(machine), recipe)


def reference_row(timed: Timed, machine: Mapping[str, Any], recipe: BenchmarkRecipe) -> Row:
    """The fp32 model on the same CPU."""
    return timed_row(timed, "host", f"fp32 reference, {host_source(machine)}", recipe)


def simulated_row(subject: Subject) -> Row | None:
    """The vendor's cost model, or (`estimated`) ours; None where there is none."""
    simulated = subject.tools.cost(subject.compiled)
    return Row(simulated) if simulated else None


def host_source(machine: Mapping[str, Any]) -> str:
    """What a host row ran on; `machine` as pipeline.environment describes one."""
    return f"onnxruntime {machine['onnxruntime']} on {machine['machine']} ({machine['cpu']}, {machine['cores']} cores)"


def shorter(recipe: BenchmarkRecipe, longest: Profile = REFERENCE_PROFILE) -> Profile:
    """The profile of rows that no gate rests on, never longer than the recipe's own: `official` takes ten minutes."""
    return min(longest, PROFILES[recipe.profile], key=lambda profile: profile.seconds)
