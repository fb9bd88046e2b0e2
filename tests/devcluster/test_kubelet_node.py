"""What a kubelet writes into its Node's status, and what it leaves alone."""

from datetime import UTC, datetime
from typing import Any

from dms_operator.devcluster.config import NodeConfig
from dms_operator.devcluster.kubelet.node import node_status

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
OTHERS: dict[str, Any] = {"type": "KernelDeadlock", "status": "False", "reason": "KernelHasNoDeadlock"}


def test_conditions_and_extended_resources_of_others_survive_the_heartbeat() -> None:
    first = node_status(NodeConfig(name="n"), {}, NOW)
    present = {**first, "conditions": [OTHERS, *first["conditions"]], "capacity": {**first["capacity"], "a.b/c": "1"}}
    second = node_status(NodeConfig(name="n"), present, NOW)
    assert OTHERS in second["conditions"] and second["capacity"]["a.b/c"] == "1"
    assert [each["type"] for each in second["conditions"]].count("Ready") == 1


def test_a_second_heartbeat_finds_nothing_to_change() -> None:
    first = node_status(NodeConfig(name="n"), {"conditions": [OTHERS]}, NOW)
    assert node_status(NodeConfig(name="n"), first, NOW) == first
