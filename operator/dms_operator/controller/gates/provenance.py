"""Provenance: how good the evidence has to be, for every figure that a gate rests on."""

from collections.abc import Iterator

from ...api.spec import BenchmarkSpec
from ...api.stages import PROVENANCE_ORDER, BenchmarkFacts, LatencyFacts, Provenance
from ...api.status import GateStatus
from ..text import clip
from .delegation import CPU_TOOLCHAIN

UNKNOWN = "unknown"
"""Provenance of a figure that came without; weaker than any other."""


def counted_latency(benchmark: BenchmarkFacts, toolchain: str) -> LatencyFacts | None:
    """The network's latency with the strongest provenance that says something about the target."""
    counted = [latency for latency in benchmark.latencies if counts(latency, toolchain)]
    return max(counted, key=lambda latency: PROVENANCE_ORDER.index(latency.provenance), default=None)


def judged_latency(benchmark: BenchmarkFacts, toolchain: str, wanted: BenchmarkSpec) -> LatencyFacts | None:
    """The latency that the budget is about: camera to decision where that is asked for, else the network's."""
    if wanted.end_to_end is None:
        return counted_latency(benchmark, toolchain)
    whole = benchmark.end_to_end
    return whole if whole is not None and counts(whole, toolchain) else None


def counts(latency: LatencyFacts, toolchain: str) -> bool:
    """The build machine's CPU says nothing about an NPU, so `host` figures count for CPU targets alone."""
    return latency.provenance != "host" or toolchain == CPU_TOOLCHAIN


def provenance_gate(benchmark: BenchmarkFacts, toolchain: str, wanted: BenchmarkSpec) -> GateStatus:
    """Hold the weakest provenance of the figures that other gates rest on against the weakest accepted one.

    A figure that is not there is for its own gate to tell; without a latency there is no evidence at all.
    """
    minimum = wanted.min_provenance
    if judged_latency(benchmark, toolchain, wanted) is None:
        message = f"there is no {_latency_name(wanted)} figure of the target, minProvenance is {minimum}"
        if benchmark.latency_note:
            message += f": {benchmark.latency_note}"
        return GateStatus(name="provenance", outcome="Fail", value="none", limit=minimum, message=clip(message, 512))
    figures = dict(_figures(benchmark, toolchain, wanted))
    weak = {name: found for name, found in figures.items() if _rank(found) < _rank(minimum)}
    told = ", ".join(f"{name} is {found or UNKNOWN}" for name, found in (weak or figures).items())
    return GateStatus(
        name="provenance",
        outcome="Fail" if weak else "Pass",
        value=min(figures.values(), key=_rank) or UNKNOWN,
        limit=minimum,
        message=f"{told}, minProvenance is {minimum}",
    )


def _figures(
    benchmark: BenchmarkFacts, toolchain: str, wanted: BenchmarkSpec
) -> Iterator[tuple[str, Provenance | None]]:
    if latency := judged_latency(benchmark, toolchain, wanted):
        yield _latency_name(wanted), latency.provenance
    if benchmark.accuracy_on_target is not None:
        yield "accuracy on target", benchmark.accuracy_provenance
    if wanted.power_budget is not None and benchmark.power is not None:
        yield "power", benchmark.power_provenance
    # an estimate of memory is a lower limit, which its gate never takes for a proof
    if wanted.memory_budget is not None and benchmark.memory is not None and benchmark.memory_provenance != "estimated":
        yield "memory", benchmark.memory_provenance


def _latency_name(wanted: BenchmarkSpec) -> str:
    return "latency" if wanted.end_to_end is None else "camera-to-decision latency"


def _rank(provenance: Provenance | None) -> int:
    return -1 if provenance is None else PROVENANCE_ORDER.index(provenance)
