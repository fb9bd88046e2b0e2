"""From a run's latencies to the figures of a row."""

from ..api.quantities import Duration
from ..api.stages import LatencyFacts, Provenance
from .latency import Timing
from .percentiles import NANOSECOND, percentile, upper_bound


def latency_facts(
    timing: Timing, gated_percent: float, provenance: Provenance, source: str, load_seconds: float | None = None
) -> LatencyFacts:
    """The whole distribution, and the gated percentile's upper bound."""
    latencies = timing.nanoseconds
    bound = upper_bound(latencies, gated_percent)
    shares = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}
    seconds = {name: percentile(latencies, percent) for name, percent in shares.items()}
    seconds |= {"mean": float(latencies.mean()) * NANOSECOND, "stddev": float(latencies.std()) * NANOSECOND}
    seconds |= {"min": float(latencies.min()) * NANOSECOND, "max": float(latencies.max()) * NANOSECOND}
    seconds |= {"first": timing.first_seconds} | ({} if load_seconds is None else {"load": load_seconds})
    seconds |= {} if bound is None else {"bound": bound}
    return LatencyFacts.model_validate(
        {name: Duration.of_seconds(value) for name, value in seconds.items()}
        | {"provenance": provenance, "samples": len(latencies), "source": source}
        | {"throughput": round(timing.throughput, 3)}
        | {"notes": "" if bound is not None else f"too few samples for a bound of p{gated_percent:g}"}
    )
