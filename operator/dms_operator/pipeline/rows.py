"""Rows of a benchmark: one latency distribution for each means at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..api.stages import BenchmarkRecipe, LatencyFacts, Provenance
from ..toolchains.base import Session
from ..toolchains.onnxruntime_cpu import open_cpu_session
from . import environment
from .context import StageContext
from .latency import PROFILES, Profile, Query, Timing, latency_facts, measure
from .passes import Pass, outcome, run_passes
from .percentiles import needed
from .subject import Loaded, Subject, load

REFERENCE_PROFILE = Profile(64, 3.0)
"""Of the fp32 reference and of processing alone: their medians make ratios, no budget is held against them."""

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
        passes = [each.to_wire() for each in self.passes]
        return self.facts.to_wire() | {"throughput": self.throughput, "passes": passes}


@dataclass(frozen=True)
class Plan:
    """How a row is timed."""

    provenance: Provenance
    source: str
    profile: Profile
    step: str
    """Name of its progress."""
    counts: bool
    """Whether a gate may rest on it: then it is repeated when disturbed, and extended for a bound."""


def timed(queries: Sequence[Query], plan: Plan, recipe: BenchmarkRecipe, context: StageContext, load: float) -> Row:
    """Time queries by the plan; `load` is the seconds that loading took."""

    def report(done: int, total: int) -> None:
        context.progress(plan.step, done, total)

    wanted = needed(recipe.percentile) if plan.counts else 0
    passes = run_passes(
        lambda: measure(queries, plan.profile, recipe.warmup, report, wanted),
        repeat=plan.counts,
    )
    found = outcome(passes)
    facts = latency_facts(found.timing, recipe.percentile, plan.provenance, plan.source, load)
    notes = "; ".join(filter(None, [found.notes, facts.notes]))[:_NOTES_LIMIT]
    return Row(facts.model_copy(update={"noisy": found.noisy, "notes": notes}), passes, found.timing)


def board_row(board: Loaded[Session], subject: Subject, recipe: BenchmarkRecipe, context: StageContext) -> Row:
    """The compiled artifact on the board's own compute unit."""
    source = f"{subject.tools.version} on {environment.cpu_name()}"
    plan = Plan("measured", source, PROFILES[recipe.profile], "time-measured", counts=True)
    return timed(_queries(board.session, subject), plan, recipe, context, board.seconds)


def host_row(subject: Subject, recipe: BenchmarkRecipe, context: StageContext) -> Row:
    """The variant on this machine's CPU, which is the target only for toolchain onnxruntime."""
    host = load(lambda: open_cpu_session(subject.model))
    counts = recipe.toolchain == "onnxruntime"
    plan = Plan("host", host_source(), PROFILES[recipe.profile], "time-host", counts)
    return timed(_queries(host.session, subject), plan, recipe, context, host.seconds)


def reference_row(subject: Subject, recipe: BenchmarkRecipe, context: StageContext) -> Row:
    """The fp32 model on this machine's CPU."""
    host = load(lambda: open_cpu_session(subject.original))
    plan = Plan("host", f"fp32 reference, {host_source()}", shorter(recipe), "time-fp32", counts=False)
    return timed(_queries(host.session, subject), plan, recipe, context, host.seconds)


def simulated_row(subject: Subject) -> Row | None:
    """The vendor's cost model; None where there is none."""
    simulated = subject.tools.cost(subject.compiled)
    return Row(simulated) if simulated else None


def host_source() -> str:
    """What a host row ran on."""
    host = environment.describe()
    return f"onnxruntime {host['onnxruntime']} on {host['machine']} ({host['cpu']}, {host['cores']} cores)"


def shorter(recipe: BenchmarkRecipe) -> Profile:
    """The profile of rows that only make ratios, never longer than the recipe's own."""
    return min(REFERENCE_PROFILE, PROFILES[recipe.profile], key=lambda profile: profile.seconds)


def _queries(session: Session, subject: Subject) -> list[Callable[[], None]]:
    return [session.query(sample) for sample in subject.rotation]
