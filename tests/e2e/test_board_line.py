"""Several deployments and one board: who is next, who may not, and that nobody holds it for ever."""

from typing import Any

import pytest

from dms_operator.api.board_connection import parse_connection
from e2e.conftest import FakeStages, StartOperator
from e2e.docs_commands import commands
from e2e.running import REPOSITORY, Kubectl, OperatorProcess, wait_for
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


def as_documented(kubectl: Kubectl, block: str, **words: str) -> None:
    """Run a block of docs/boards.md, on this cluster's board and deployment for those of the example."""
    here = {"rack-1": NODE, **words}
    for program, *arguments in commands("boards.md", block):
        assert program == "kubectl"
        kubectl(*(here.get(word, word) for word in arguments))


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
    as_documented(kubectl, "disable")
    try:
        kubectl.apply(deployment(kubectl, "second"))
        wait_for_message(kubectl, "second", "every qcs8255 board is out of service: remove dms.edge/board-disabled")
        stages.release(gate)
        wait_for_phase(kubectl, "Ready", "first")
        assert order(kubectl, stages) == ["first"]
        about = f"--field-selector=involvedObject.name={NODE}"
        assert "out of service" in kubectl("get", "events", "-n", "default", about)
    finally:
        as_documented(kubectl, "enable")
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


def test_every_kubectl_command_of_the_page_is_accepted_and_means_what_it_says(kubectl: Kubectl) -> None:
    names = {name: f"{name}-{kubectl.namespace}" for name in ("rack-1", "rack-2")}
    kubectl.apply(*({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in names.values()))
    kubectl.apply(deployment(kubectl, "driver-monitor", suspend=True))
    priority = "examples/boards/priority.yaml"
    words = {**names, priority: str(REPOSITORY / priority)}
    try:
        for block in ("local", "adb", "disable", "priority"):
            as_documented(kubectl, block, **words)
        first, second = (kubectl.json("get", "node", name)["metadata"] for name in names.values())
        assert first["labels"] == {"dms.edge/board": "qcs8255", "dms.edge/board-disabled": "true"}
        connection = parse_connection(second["annotations"]["dms.edge/board-connection"])
        assert (connection.kind, connection.serial, second["labels"]["dms.edge/board"]) == ("adb", "4f2a11", "sa8295")
        spec = kubectl.json("get", "dmsd", "driver-monitor")["spec"]
        assert spec["benchmark"]["priorityClassName"] == "dms-release"
        assert kubectl.json("get", "priorityclass", "dms-release")["preemptionPolicy"] == "Never"
        as_documented(kubectl, "enable", **words)
        assert "dms.edge/board-disabled" not in kubectl.json("get", "node", names["rack-1"])["metadata"]["labels"]
    finally:
        kubectl("delete", "node", *names.values())
        kubectl("delete", "priorityclass", "dms-release", "--ignore-not-found")
