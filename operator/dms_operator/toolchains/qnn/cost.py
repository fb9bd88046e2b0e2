"""The cost model's rows as latency facts."""

from collections.abc import Sequence

from ...api.quantities import Duration
from ...api.stages import LatencyFacts
from ...api.target_options.qnn_socs import Soc
from .profile import PartitionCost

_MICROSECOND = 1e-6
NO_COST_MODEL = "no cost model for this SoC"


def simulated_latency(
    costs: Sequence[PartitionCost], partitions: int, nodes_on_cpu: int, soc: Soc
) -> LatencyFacts | None:
    """The sum over partitions; None when the cost model knows nothing of this SoC."""
    if not costs:
        return None
    return LatencyFacts(
        provenance="simulated",
        p50=Duration.of_seconds(sum(cost.time_us for cost in costs) * _MICROSECOND),
        bound=Duration.of_seconds(sum(cost.upper_us for cost in costs) * _MICROSECOND),
        source=f"QNN cost model {soc.title}",
        notes="; ".join(_notes(costs, partitions, nodes_on_cpu)),
    )


def _notes(costs: Sequence[PartitionCost], partitions: int, nodes_on_cpu: int) -> list[str]:
    missing = sum(cost.missing_ops for cost in costs)
    return [
        text
        for applies, text in (
            (True, "without RPC and input/output transfer"),
            (missing > 0, f"too low: the cost model has no cost for {missing} operators"),
            (nodes_on_cpu > 0, f"too low: {nodes_on_cpu} nodes run on the CPU and are not in it"),
            (partitions > 1, f"sum over {partitions} partitions"),
            (len(costs) != partitions, f"the cost model reported {len(costs)} of {partitions} partitions"),
        )
        if applies
    ]
