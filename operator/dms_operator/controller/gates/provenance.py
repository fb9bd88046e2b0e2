"""Provenance: how good the evidence for the latency has to be."""

from ...api.stages import PROVENANCE_ORDER, BenchmarkFacts, LatencyFacts, Provenance
from ...api.status import GateStatus
from .delegation import CPU_TOOLCHAIN


def counted_latency(benchmark: BenchmarkFacts, toolchain: str) -> LatencyFacts | None:
    """The latency with the strongest provenance that says something about the target.

    The build machine's CPU says nothing about an NPU, so `host` figures count for CPU targets alone.
    """
    counted = [latency for latency in benchmark.latencies if latency.provenance != "host" or toolchain == CPU_TOOLCHAIN]
    return max(counted, key=lambda latency: PROVENANCE_ORDER.index(latency.provenance), default=None)


def provenance_gate(benchmark: BenchmarkFacts, toolchain: str, minimum: Provenance) -> GateStatus:
    """Hold the strongest provenance against the weakest accepted one."""
    latency = counted_latency(benchmark, toolchain)
    if latency is None:
        message = f"there is no latency figure of the target, minProvenance is {minimum}"
        return GateStatus(name="provenance", outcome="Fail", value="none", limit=minimum, message=message)
    enough = PROVENANCE_ORDER.index(latency.provenance) >= PROVENANCE_ORDER.index(minimum)
    return GateStatus(
        name="provenance",
        outcome="Pass" if enough else "Fail",
        value=latency.provenance,
        limit=minimum,
        message=f"latency is {latency.provenance}, minProvenance is {minimum}",
    )
