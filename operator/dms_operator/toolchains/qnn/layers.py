"""The per-layer profile: QNN operators with the cost model's cycles, the simulator's cycles, and DDR traffic."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...api.target_options.qnn_socs import Soc
from .cost import NO_COST_MODEL
from .profile import NodeCycles, PartitionCost
from .schedule import OperatorCost, Schedule

_EDGES = {"Input", "Output"}


@dataclass(frozen=True)
class Layer:
    """One QNN operator.

    `cycles` and `transfer_cycles` are the target's by the cost model (None: none for this SoC) and overlap between
    operators; `simulator_cycles` are this machine's, no figure of the target.
    """

    name: str
    nodes: tuple[str, ...]
    cycles: int | None
    transfer_cycles: int | None
    ddr_bytes: int | None
    simulator_cycles: int

    def to_wire(self, total: int) -> dict[str, Any]:
        """Plain JSON object with the share of all layers' `total` cycles; fields without a figure are left out."""
        document = {
            "name": self.name,
            "nodes": list(self.nodes),
            "cycles": self.cycles,
            "share": None if self.cycles is None or not total else round(self.cycles / total, 6),
            "transferCycles": self.transfer_cycles,
            "ddrBytes": self.ddr_bytes,
            "simulatorCycles": self.simulator_cycles,
        }
        return {key: value for key, value in document.items() if value is not None}


def layers(rows: Sequence[NodeCycles], schedules: Sequence[Schedule], nodes: Iterable[str]) -> list[Layer]:
    """Join the rows of one inference with the modelled schedule by operator id; `nodes` are the model's compute nodes.

    Operator ids are unique over a model's partitions; inputs and outputs of all partitions share one id each.
    """
    model_nodes, costs = set(nodes), _merged(schedules)
    simulated: dict[int, int] = defaultdict(int)
    for row in rows:
        simulated[row.operator] += row.cycles
    first = {row.operator: row for row in reversed(rows)}
    ordered = dict.fromkeys(row.operator for row in rows)
    return [
        _layer(first[key], simulated[key], costs.get(key, OperatorCost()), bool(costs), model_nodes) for key in ordered
    ]


def profile_document(found: Sequence[Layer], costs: Sequence[PartitionCost], soc: Soc, note: str) -> dict[str, Any]:
    """`layers.json`: the cost model's sums over partitions, traffic, and layers; `note` says why layers are absent."""
    total = sum(layer.cycles or 0 for layer in found)
    document: dict[str, Any] = {
        "soc": soc.title,
        "costModel": cost_document(costs),
        "layers": [layer.to_wire(total) for layer in found],
    }
    return document | ({"note": note} if note else {})


def cost_document(costs: Sequence[PartitionCost]) -> dict[str, Any]:
    """The cost model's sums over partitions, or the sentence that there is none."""
    if not costs:
        return {"note": NO_COST_MODEL}
    return {
        "timeUs": sum(cost.time_us for cost in costs),
        "lowerUs": sum(cost.lower_us for cost in costs),
        "upperUs": sum(cost.upper_us for cost in costs),
        "partitions": len(costs),
        "missingOps": sum(cost.missing_ops for cost in costs),
        "trafficBytes": _traffic(costs),
    }


def _layer(row: NodeCycles, simulated: int, cost: OperatorCost, modelled: bool, nodes: set[str]) -> Layer:
    sources = dict.fromkeys(name.rsplit("_token_", 1)[0] for name in row.sources)
    return Layer(
        name=row.name if row.name in _EDGES else row.name.rsplit("_token_", 1)[0],
        nodes=tuple(name for name in sources if name in nodes),
        cycles=cost.compute if modelled else None,
        transfer_cycles=cost.transfer if modelled else None,
        ddr_bytes=cost.ddr_read + cost.ddr_write if modelled else None,
        simulator_cycles=simulated,
    )


def _merged(schedules: Iterable[Schedule]) -> dict[int, OperatorCost]:
    merged: dict[int, OperatorCost] = defaultdict(OperatorCost)
    for schedule in schedules:
        for operator, cost in schedule.operators.items():
            into = merged[operator]
            into.compute += cost.compute
            into.transfer += cost.transfer
            into.ddr_read += cost.ddr_read
            into.ddr_write += cost.ddr_write
    return merged


def _traffic(costs: Iterable[PartitionCost]) -> Mapping[str, int]:
    total: dict[str, int] = defaultdict(int)
    for cost in costs:
        for kind, count in cost.traffic.items():
            total[kind] += count
    return dict(total)
