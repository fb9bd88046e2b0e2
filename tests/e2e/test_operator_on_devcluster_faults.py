"""The operator while the API server misbehaves: nothing is lost, nothing runs twice, it recovers by itself."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from dms_operator.devcluster.faults.happenings import ReviveNode, SilenceNode
from e2e.conftest import FakeStages
from e2e.faulty_proxy import FaultyProxy, expired_watch, refusal
from e2e.running import Cluster, Kubectl, OperatorProcess, wait_for
from e2e.test_operator_on_devcluster import deployment, runs_by_recipe, status, wait_for_phase
from fault_suite.cluster import Client


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[FaultyProxy]:
    with FaultyProxy(cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def operator(proxy: FaultyProxy, kubectl: Kubectl, stages: FakeStages, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that reaches the API server through the proxy."""
    process = OperatorProcess(proxy.kubeconfig, stages.settings, tmp_path, [kubectl.namespace])
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


def _is_watch(request: web.Request) -> bool:
    return "watch" in request.query


def test_what_happens_while_the_api_is_away_is_seen_afterwards(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__resolve={"hold": gate}, other__resolve={"hold": f"{gate}-never"})
    kubectl.apply(deployment(kubectl), deployment(kubectl, "other"))
    wait_for(lambda: len(stages.runs(stage="resolve")) == 2, 60, "both resolve")
    proxy.refuse = lambda request: refusal(503, "ServiceUnavailable")
    proxy.cut()
    stages.release(gate)
    wait_for(lambda: stages.runs("end", stage="resolve"), 60, "resolve ended unseen")
    kubectl("delete", "dmsd", "other", "--timeout=60s")
    proxy.refuse = lambda request: None
    wait_for_phase(kubectl, "Ready")
    wait_for(lambda: 'deployment="other"' not in operator.get("/metrics")[1], 60, "the deleted one is forgotten")
    assert set(runs_by_recipe(stages).values()) == {1}


def test_an_object_that_vanished_while_its_watch_had_expired_is_forgotten(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    kubectl.apply(deployment(kubectl, suspend=True))
    wait_for_phase(kubectl, "Suspended")
    proxy.refuse = lambda request: refusal(503, "ServiceUnavailable")
    proxy.cut()
    kubectl("delete", "dmsd", "driver", "--timeout=60s")
    expired: set[tuple[str, str]] = set()

    def expire_once(request: web.Request) -> web.Response | None:
        stream = (request.path, request.query.get("labelSelector", ""))
        if _is_watch(request) and stream not in expired:
            expired.add(stream)
            return expired_watch()
        return None

    proxy.refuse = expire_once
    wait_for(lambda: len(expired) == 5, 60, "all five watches were told that they had expired")
    wait_for(lambda: 'deployment="driver"' not in operator.get("/metrics")[1], 60, "it is forgotten")
    assert operator.get("/healthz")[0] == 200


def test_a_definition_that_goes_and_comes_back_does_not_end_the_operator(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    refused: list[str] = []

    def not_served(request: web.Request) -> web.Response | None:
        if "dmsmodeldeployments" not in request.path:
            return None
        refused.append(request.path)
        return refusal(404, "NotFound")

    proxy.refuse = not_served
    proxy.cut()
    wait_for(lambda: len(refused) >= 2, 30, "the watch was refused more than once")
    proxy.refuse = lambda request: None
    kubectl.apply(deployment(kubectl))
    wait_for_phase(kubectl, "Ready")


def test_an_operator_whose_watch_fails_for_good_ends_so_that_it_is_restarted(
    proxy: FaultyProxy, operator: OperatorProcess
) -> None:
    proxy.refuse = lambda request: refusal(400, "BadRequest") if _is_watch(request) else None
    proxy.cut()
    wait_for(operator.has_ended, 60, "the operator ended")


def test_an_operator_whose_token_is_revoked_goes_on_with_the_next_one(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    refused: list[str] = []

    def knows_the_new_token_alone(request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == "Bearer new":
            return None
        refused.append(request.path)
        return refusal(401, "Unauthorized")

    proxy.refuse = knows_the_new_token_alone
    proxy.cut()
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: len(set(refused)) >= 4, 30, "the streams of all four paths were refused")
    time.sleep(2)
    assert len(refused) < 40, "it waits between its tries"
    proxy.kubeconfig.write_text(proxy.kubeconfig.read_text().replace("token: none", "token: new"))
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}


def test_bursts_of_refusals_delay_but_never_double_anything(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    count: Counter[str] = Counter()
    codes = [(429, "TooManyRequests", {"Retry-After": "1"}), (500, "InternalError", {}), (409, "Conflict", {})]

    def every_second_write_fails(request: web.Request) -> web.Response | None:
        if request.method == "GET":
            return None
        count["writes"] += 1
        code, reason, headers = codes[(count["writes"] // 2) % len(codes)]
        return refusal(code, reason, **headers) if count["writes"] % 2 else None

    proxy.refuse = every_second_write_fails
    kubectl.apply(deployment(kubectl))
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}
    assert operator.metric("dms_reconcile_errors_total") > 0


def test_writes_whose_answers_are_lost_are_not_done_twice(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    lost: Counter[str] = Counter()

    def lose_the_first_answers(request: web.Request) -> web.Response | None:
        if request.method in ("POST", "PATCH") and lost[request.method] < 2:
            lost[request.method] += 1
            proxy.cut()
        return None

    proxy.refuse = lose_the_first_answers
    kubectl.apply(deployment(kubectl))
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}


def test_a_boards_node_that_vanishes_for_good_costs_one_run_and_the_next_machine_makes_it_anew(
    cluster: Cluster, kubectl: Kubectl, operator: OperatorProcess, stages: FakeStages, tmp_path: Path
) -> None:
    node, gate = "bench-qcs8255", f"{kubectl.namespace}-gate"
    control = Client(cluster.kubeconfig, kubectl.namespace, tmp_path)
    stages.behave(driver__benchmark={"hold": gate})
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: stages.runs(stage="benchmark"), 60, "the board is timed")
    [lost] = kubectl.json("get", "pods", "--selector=dms.edge/stage=benchmark")["items"]
    control.happen(SilenceNode(name=node))
    try:
        kubectl("delete", "node", node)
        collect_as_garbage(kubectl, lost["metadata"]["name"])
        told = wait_for(lambda: "no node" in (text := status(kubectl)["summary"]["message"]) and text, 30, "it says so")
        assert "dms.edge/board=qcs8255" in told
        assert operator.metric("dms_board_capacity", board="qcs8255") == 0
    finally:
        stages.release(gate)
        control.happen(ReviveNode(name=node))  # another machine of the same name and labels
    wait_for_phase(kubectl, "Ready")
    assert "dms.edge/qcs8255" in kubectl.json("get", "node", node)["status"]["allocatable"], "it is offered anew"
    assert Counter(run["stage"] for run in stages.runs())["benchmark"] == 2, "one run was lost with the machine"
    assert {runs for recipe, runs in runs_by_recipe(stages).items() if recipe not in benchmarked(stages)} == {1}


def collect_as_garbage(kubectl: Kubectl, pod: str) -> None:
    """What Kubernetes does with pods whose node is no more (pkg/controller/podgc): fails them, then deletes them."""
    gone = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node not found",
    }
    failed = json.dumps({"status": {"phase": "Failed", "conditions": [gone]}})
    kubectl("patch", "pod", pod, "--subresource=status", "-p", failed)
    kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")


def benchmarked(stages: FakeStages) -> set[str]:
    return {run["recipe"] for run in stages.runs(stage="benchmark")}


def test_a_healthy_idle_operator_only_watches(
    kubectl: Kubectl, proxy: FaultyProxy, operator: OperatorProcess, stages: FakeStages
) -> None:
    kubectl.apply(deployment(kubectl))
    wait_for_phase(kubectl, "Ready")
    wait_for(lambda: operator.metric("dms_queue_depth") == 0, 30, "nothing is left to do")
    found, looks = status(kubectl), operator.metric("dms_reconcile_duration_seconds_count")
    proxy.seen.clear()
    kubectl("annotate", "dmsd", "driver", "example.com/note=hello")
    wait_for(lambda: operator.metric("dms_reconcile_duration_seconds_count") > looks, 30, "it was looked at")
    assert [request for request in proxy.seen if "watch=true" not in request] == []
    assert found == status(kubectl)
