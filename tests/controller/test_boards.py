"""Boards as extended resources: what is offered, and what is taken back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.recording import RecordingCluster
from dms_operator.controller.board_pods import Attachment
from dms_operator.controller.boards import BoardKeeper, capacity_patch, count_boards
from dms_operator.controller.caches import Caches
from dms_operator.controller.observation import BoardCount


def _node(
    name: str = "n", labels: dict[str, str] | None = None, offers: dict[str, str] | None = None
) -> dict[str, Any]:
    status = {"capacity": {"cpu": "4", **(offers or {})}, "allocatable": {"cpu": "4", **(offers or {})}}
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "labels": labels or {}}
    return {"kind": "Node", "metadata": metadata, "status": status}


def _operations(node: dict[str, Any]) -> list[str]:
    return [f"{step['op']} {step['path']} {step.get('value', '')}".strip() for step in capacity_patch(node)]


QCS = {"dms.edge/board": "qcs8255"}
OFFER = {"dms.edge/qcs8255": "1"}


def test_a_labelled_node_offers_one_board() -> None:
    assert _operations(_node(labels=QCS)) == [
        "add /status/capacity/dms.edge~1qcs8255 1",
        "add /status/allocatable/dms.edge~1qcs8255 1",
    ]


def test_a_right_offer_is_left_alone() -> None:
    assert _operations(_node(labels=QCS, offers=OFFER)) == []


def test_an_offer_that_was_lost_in_part_is_made_again() -> None:
    node = _node(labels=QCS, offers=OFFER)
    del node["status"]["allocatable"]["dms.edge/qcs8255"]
    assert _operations(node) == ["add /status/allocatable/dms.edge~1qcs8255 1"]


@pytest.mark.parametrize("labels", [{}, {"dms.edge/board": "toaster"}, {**QCS, "dms.edge/board-disabled": "true"}])
def test_without_a_usable_board_the_offer_is_taken_back(labels: dict[str, str]) -> None:
    assert _operations(_node(labels=labels, offers=OFFER)) == [
        "remove /status/capacity/dms.edge~1qcs8255",
        "remove /status/allocatable/dms.edge~1qcs8255",
    ]


def test_a_board_may_be_disabled_by_an_annotation_too() -> None:
    node = _node(labels=QCS, offers=OFFER)
    node["metadata"]["annotations"] = {"dms.edge/board-disabled": "fan is broken"}
    assert len(_operations(node)) == 2
    node["metadata"]["annotations"] = {"dms.edge/board-disabled": "false"}
    assert _operations(node) == []


def test_another_board_type_replaces_the_offer() -> None:
    node = _node(labels={"dms.edge/board": "tda4vm"}, offers=OFFER)
    assert _operations(node) == [
        "remove /status/capacity/dms.edge~1qcs8255",
        "add /status/capacity/dms.edge~1tda4vm 1",
        "remove /status/allocatable/dms.edge~1qcs8255",
        "add /status/allocatable/dms.edge~1tda4vm 1",
    ]


def test_a_plain_node_is_a_board_like_any_other() -> None:
    """Two benchmarks on one CPU would measure each other."""
    node = _node(labels={"dms.edge/board": "generic-x86"})
    assert _operations(node)[0] == "add /status/capacity/dms.edge~1generic-x86 1"


def unhealthy(status: str = "False", **labels: str) -> dict[str, Any]:
    node = _node("rack-1", QCS | labels, OFFER)
    condition = {"type": "DMSBoardHealthy", "status": status, "reason": "Unreachable", "message": "no route to host"}
    node["status"]["conditions"] = [condition]
    return node


def test_a_board_that_its_probe_finds_unhealthy_gets_no_new_work_and_says_why() -> None:
    assert len(_operations(unhealthy())) == 2
    assert count_boards([unhealthy()])["qcs8255"].unhealthy == ("rack-1: no route to host",)


def test_what_the_probe_does_not_know_speaks_against_no_board() -> None:
    assert _operations(unhealthy("Unknown")) == [] and _operations(unhealthy("True")) == []
    assert count_boards([unhealthy("Unknown")])["qcs8255"].unhealthy == ()


def test_a_board_that_is_out_of_service_is_not_called_unhealthy_as_well() -> None:
    node = unhealthy()
    node["metadata"]["labels"]["dms.edge/board-disabled"] = "true"
    assert count_boards([node])["qcs8255"] == BoardCount(1, 1, 1)


def test_boards_that_hang_off_their_node_are_found_by_annotation() -> None:
    far, near = _node("rack-1", QCS, OFFER), _node("rack-2", QCS, OFFER)
    far["metadata"]["annotations"] = {
        "dms.edge/board-connection": "ssh://root@10.0.0.7",
        "dms.edge/board-secret": "board-rack-1",
    }
    near["metadata"]["annotations"] = {"dms.edge/board-connection": "local"}
    found = count_boards([far, near])["qcs8255"].attachments
    assert found == (Attachment("rack-1", "ssh://root@10.0.0.7", "board-rack-1"),)


def test_foreign_resources_are_never_touched() -> None:
    assert _operations(_node(offers={"nvidia.com/gpu": "8"})) == []


def test_boards_are_counted_by_type_and_usability() -> None:
    nodes = [
        _node("a", QCS, OFFER),
        _node("b", QCS),
        _node("c", {**QCS, "dms.edge/board-disabled": "yes"}),
        _node("d", {"dms.edge/board": "tda4vm"}, {"dms.edge/tda4vm": "1"}),
        _node("e"),
    ]
    assert count_boards(nodes) == {"qcs8255": BoardCount(3, 1, 1), "tda4vm": BoardCount(1, 1, 0)}


def _keeper(caches: Caches, cluster: RecordingCluster) -> BoardKeeper:
    return BoardKeeper(caches, cluster, lambda: datetime(2026, 1, 1, tzinfo=UTC), caches.nodes.put)


async def test_an_offer_is_written_once_and_told_once() -> None:
    caches, cluster = Caches(), RecordingCluster()
    cluster.nodes["n"] = _node(labels=QCS)
    caches.nodes.put(cluster.nodes["n"])
    keeper = _keeper(caches, cluster)
    await keeper.reconcile("n")
    await keeper.reconcile("n")
    assert cluster.calls == ["patch_node_status n", "post_event BoardAdvertised"]
    assert count_boards(caches.nodes.values()) == {"qcs8255": BoardCount(1, 1, 0)}


async def test_a_node_that_lost_its_label_is_looked_up_and_corrected() -> None:
    cluster = RecordingCluster()
    cluster.nodes["n"] = _node(offers=OFFER)
    await _keeper(Caches(), cluster).reconcile("n")
    assert cluster.nodes["n"]["status"]["capacity"] == {"cpu": "4"}


async def test_a_node_that_is_gone_needs_nothing() -> None:
    cluster = RecordingCluster()
    await _keeper(Caches(), cluster).reconcile("n")
    assert cluster.writes == []
