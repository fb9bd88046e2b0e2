"""Several deployments and one board: who is next, who may not, and that nobody holds it for ever."""

from typing import Any

import pytest

from e2e.conftest import FakeStages, StartOperator
from e2e.running import Kubectl, OperatorProcess, wait_for
from e2e.test_operator_on_devcluster import deployment, status, wait_for_phase

NODE = "bench-qcs8255"


def message(kubectl: Kubectl, name: str) -> str:
    return str(status(kubectl, name).get("summary", {}).get("message", ""))


def wait_for_message(kubectl: Kubectl, name: str, words: str) -> str:
    return wait_for(lambda: words in (text := message(kubectl, name)) and text, 60, f"{name} says {words!r}")


def hold_the_board(
    kubectl: Kubectl, stages: FakeStages, operator_process: StartOperator
) -> tuple[str, OperatorProcess]:
    """Deployment `first` runs on the board until the gate is opened; gives the gate."""
    gate = f"{kubectl.namespace}-gate"
    stages.behave(benchmark={"hold": gate})
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, "first"))
    wait_for(lambda: stages.runs(stage="benchmark"), 60, "first holds the board")
    return gate, operator


def order(kubectl: Kubectl, stages: FakeStages) -> list[str]:
    return [run["deployment"].split("/")[1] for run in stages.runs(stage="benchmark")]


@pytest.fixture
def release_class(kubectl: Kubectl) -> Any:
    name = f"release-{kubectl.namespace}"
    body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 1000}
    kubectl.apply({**body, "preemptionPolicy": "Never"})
    yield name
    kubectl("delete", "priorityclass", name)


def test_a_release_goes_before_an_experiment_that_came_first(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, release_class: str
) -> None:
    gate, operator = hold_the_board(kubectl, stages, operator_process)
    kubectl.apply(deployment(kubectl, "experiment"))
    wait_for_message(kubectl, "experiment", "next in line for a qcs8255 board")
    kubectl.apply(deployment(kubectl, "release", benchmark={"priorityClassName": release_class}))
    wait_for_message(kubectl, "release", "next in line for a qcs8255 board")
    wait_for_message(kubectl, "experiment", "second in line for a qcs8255 board")
    board = {"board": "qcs8255"}
    assert operator.metric("dms_board_capacity", **board) == operator.metric("dms_board_allocated", **board) == 1
    assert operator.metric("dms_board_waiting", **board) == 2
    stages.release(gate)
    for name in ("first", "experiment", "release"):
        wait_for_phase(kubectl, "Ready", name)
    assert order(kubectl, stages) == ["first", "release", "experiment"]
    assert operator.metric("dms_board_waiting", **board) == operator.metric("dms_board_allocated", **board) == 0
    assert operator.metric("dms_board_wait_seconds_count", **board) == 3


def test_a_board_that_is_taken_out_of_service_ends_its_work_and_gets_no_more(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    gate, _ = hold_the_board(kubectl, stages, operator_process)
    kubectl("label", "node", NODE, "dms.edge/board-disabled=true")
    try:
        kubectl.apply(deployment(kubectl, "second"))
        wait_for_message(kubectl, "second", "every qcs8255 board is out of service: remove dms.edge/board-disabled")
        stages.release(gate)
        wait_for_phase(kubectl, "Ready", "first")
        assert order(kubectl, stages) == ["first"]
        about = f"--field-selector=involvedObject.name={NODE}"
        assert "out of service" in kubectl("get", "events", "-n", "default", about)
    finally:
        kubectl("label", "node", NODE, "dms.edge/board-disabled-")
    wait_for_phase(kubectl, "Ready", "second")


def test_a_benchmark_that_hangs_is_ended_and_the_next_gets_the_board(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(first__benchmark={"hold": f"{kubectl.namespace}-never"})
    operator_process({**stages.settings, "deadlines": {"benchmark": "10s"}, "backoffLimit": 0})
    kubectl.apply(deployment(kubectl, "first"))
    wait_for(lambda: stages.runs(stage="benchmark"), 60, "first holds the board")
    kubectl.apply(deployment(kubectl, "second"))
    failed = wait_for_phase(kubectl, "Failed", "first")
    assert "benchmark pod ran too long: raise deadlines.benchmark" in failed["summary"]["message"]
    wait_for_phase(kubectl, "Ready", "second")


@pytest.mark.slow
def test_a_priority_class_that_does_not_exist_is_told_and_not_waited_for_in_silence(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, "typo", benchmark={"priorityClassName": "relaese"}))
    told = wait_for_message(kubectl, "typo", "unknown PriorityClass")
    assert "its Job has no pod" in told and "kubectl describe job typo-benchmark-" in told
    mend = '[{"op": "remove", "path": "/spec/benchmark/priorityClassName"}]'
    kubectl("patch", "dmsd", "typo", "--type=json", "-p", mend)
    wait_for_phase(kubectl, "Ready", "typo")
