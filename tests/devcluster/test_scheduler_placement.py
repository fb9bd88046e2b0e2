"""Where pods go, and what is said when they go nowhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.test_job_plan import recorded
from dms_operator.devcluster.controllers.placement import place, refuse, requests, rooms
from dms_operator.devcluster.controllers.quantity import parse_quantity
from dms_operator.devcluster.controllers.scheduler import is_waiting, urgency

Json = dict[str, Any]
BOARD = "dms.edge/qcs8255"


def node(name: str, labels: Json | None = None, taints: list[Json] | None = None, **allocatable: str) -> Json:
    offered = {
        "cpu": "4",
        "memory": "8Gi",
        "pods": "110",
        **{key.replace("__", "/"): v for key, v in allocatable.items()},
    }
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": taints} if taints else {},
        "status": {"allocatable": offered},
    }


def pod(
    name: str = "p",
    *,
    wants: Json | None = None,
    home: str | None = None,
    phase: str = "Pending",
    **spec: Any,
) -> Json:
    container = {"name": "c", "resources": {"requests": wants or {}}}
    bound = {"nodeName": home} if home else {}
    return {
        "metadata": {"name": name, "namespace": "n", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [container], **bound, **spec},
        "status": {"phase": phase},
    }


def board(name: str, count: str = "1") -> Json:
    made = node(name, {"dms.edge/board": "qcs8255"})
    made["status"]["allocatable"][BOARD] = count
    return made


def recorded_message(note: str) -> str:
    conditions = recorded("11-jobs-and-pods.json", note)["body"]["items"][0]["status"]["conditions"]
    return str(conditions[0]["message"])


def test_a_missing_label_is_said_as_kubernetes_says_it() -> None:
    placement = place(pod(nodeSelector={"dms.edge/board": "qcs8255"}), rooms([node("build-1")], []))
    assert placement.node is None
    assert placement.message == recorded_message("unschedulable: no such node")


def test_a_missing_resource_is_said_as_kubernetes_says_it() -> None:
    placement = place(pod(wants={BOARD: "1"}), rooms([node("build-1")], []))
    assert placement.message == recorded_message("unschedulable: insufficient resource")


def test_a_resource_in_use_may_come_free_and_that_is_said_too() -> None:
    taken = pod("first", wants={BOARD: "1"}, home="b", phase="Running")
    placement = place(pod(wants={BOARD: "1"}), rooms([board("b")], [taken]))
    assert placement.message == (
        "0/1 nodes are available: 1 Insufficient dms.edge/qcs8255. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_reasons_of_several_nodes_are_counted() -> None:
    nodes = [node("a"), node("b"), node("c", {"x": "y"}, cpu="1")]
    message = place(pod(wants={"cpu": "2"}, nodeSelector={"x": "y"}), rooms(nodes, [])).message
    assert message.startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector. "
    )


def test_without_nodes_there_is_a_message_of_its_own() -> None:
    assert place(pod(), []).message == "no nodes available to schedule pods"


def test_an_ended_pod_gives_its_board_back() -> None:
    ended = pod("first", wants={BOARD: "1"}, home="b", phase="Succeeded")
    assert place(pod(wants={BOARD: "1"}), rooms([board("b")], [ended])).node == "b"


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        (None, False),
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_taints_keep_pods_away_that_do_not_tolerate_them(toleration: Json | None, fits: bool) -> None:
    tainted = node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    candidate = pod(tolerations=[toleration] if toleration else [])
    refusal = refuse(candidate, rooms([tainted], [])[0])
    assert (refusal is None) is fits
    if refusal:
        assert refusal.reasons == ("node(s) had untolerated taint(s)",)


def test_a_soft_taint_keeps_nobody_away() -> None:
    tainted = node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert place(pod(), rooms([tainted], [])).node == "a"


def affinity(*expressions: Json, preferred: bool = False) -> Json:
    term = {"matchExpressions": list(expressions)}
    if preferred:
        soft = [{"weight": 10, "preference": term}]
        return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": soft}}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ({"key": "tier", "operator": "In", "values": ["2"]}, "b"),
        ({"key": "tier", "operator": "NotIn", "values": ["1"]}, "b"),
        ({"key": "tier", "operator": "Gt", "values": ["1"]}, "b"),
        ({"key": "tier", "operator": "Lt", "values": ["2"]}, "a"),
        ({"key": "only-b", "operator": "Exists"}, "b"),
        ({"key": "only-b", "operator": "DoesNotExist"}, "a"),
        ({"key": "tier", "operator": "In", "values": ["9"]}, None),
    ],
)
def test_node_affinity_chooses(expression: Json, chosen: str | None) -> None:
    nodes = [node("a", {"tier": "1"}), node("b", {"tier": "2", "only-b": ""})]
    assert place(pod(affinity=affinity(expression)), rooms(nodes, [])).node == chosen


def test_a_preference_decides_between_nodes_that_fit() -> None:
    nodes = [node("a", {"tier": "1"}), node("b", {"tier": "2"})]
    wish = affinity({"key": "tier", "operator": "In", "values": ["2"]}, preferred=True)
    assert place(pod(affinity=wish), rooms(nodes, [])).node == "b"


def test_the_emptier_node_is_preferred() -> None:
    busy = pod("other", wants={"cpu": "3"}, home="a", phase="Running")
    assert place(pod(wants={"cpu": "1"}), rooms([node("a"), node("b")], [busy])).node == "b"


def test_a_cordoned_node_takes_nothing_new() -> None:
    cordoned = node("a")
    cordoned["spec"]["unschedulable"] = True
    assert place(pod(), rooms([cordoned], [])).node is None


def test_a_full_node_takes_nothing_new() -> None:
    placement = place(pod(), rooms([node("a", pods="1")], [pod("x", home="a")]))
    assert "1 Too many pods" in placement.message


def test_a_pod_asks_for_the_larger_of_its_start_and_its_run() -> None:
    start = {"name": "i", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}
    candidate = pod(wants={"cpu": "1", "memory": "2Gi"}, initContainers=[start])
    assert requests(candidate) == {"cpu": Decimal(2), "memory": Decimal(2**31)}


def test_the_more_important_pod_goes_first_then_the_older() -> None:
    late, early, important = pod("late"), pod("early"), pod("important", priority=100)
    early["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    assert [item["metadata"]["name"] for item in sorted([late, early, important], key=urgency)] == [
        "important",
        "early",
        "late",
    ]


@pytest.mark.parametrize("field", [{"nodeName": "a"}, {"schedulerName": "mine"}, {"schedulingGates": [{"name": "g"}]}])
def test_pods_that_are_not_ours_to_place_are_left_alone(field: Json) -> None:
    assert is_waiting(pod())
    assert not is_waiting(pod(**field))


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), ("2Gi", "2147483648"), ("1e3", "1000"), ("1.5k", "1500"), ("0", "0"), ("3", "3")],
)
def test_quantities_are_exact(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1KB", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


amounts = st.integers(0, 3)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.lists(st.tuples(amounts, st.integers(0, 4000)), max_size=15),
)
def test_boards_and_cores_are_never_promised_twice(capacities: list[int], wishes: list[tuple[int, int]]) -> None:
    nodes = [board(f"n{index}", str(count)) for index, count in enumerate(capacities)]
    placed: list[Json] = []
    for index, (boards, millicores) in enumerate(wishes):
        candidate = pod(f"p{index}", wants={BOARD: str(boards), "cpu": f"{millicores}m"})
        chosen = place(candidate, rooms(nodes, placed)).node
        if chosen:
            candidate["spec"]["nodeName"] = chosen
        placed.append(candidate)
    for room in rooms(nodes, placed):
        assert all(room.used.get(key, Decimal(0)) <= offered for key, offered in room.allocatable.items())


@given(st.integers(0, 3), st.integers(1, 4))
def test_a_pod_is_refused_only_when_it_really_does_not_fit(count: int, wanted: int) -> None:
    placement = place(pod(wants={BOARD: str(wanted)}), rooms([board("b", str(count))], []))
    assert (placement.node == "b") == (wanted <= count)
