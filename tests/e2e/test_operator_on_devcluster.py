"""The operator as a process of its own, against a real HTTP API, with pods that really run."""

import json
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

from e2e.conftest import FakeStages, StartOperator
from e2e.running import Kubectl, wait_for


def deployment(kubectl: Kubectl, name: str = "driver", *boards: str, **changes: Any) -> dict[str, Any]:
    """A deployment whose recipes no other test has."""
    return {
        "apiVersion": "dms.edge/v1alpha1",
        "kind": "DMSModelDeployment",
        "metadata": {"name": name, "namespace": kubectl.namespace},
        "spec": {
            "model": {"uri": f"file:///models/{kubectl.namespace}/{name}.onnx"},
            "dataset": {"uri": "file:///data/dms.npz"},
            "targets": [{"name": f"on-{board}", "board": board} for board in boards or ("qcs8255",)],
            "artifacts": {"uri": "file:///artifacts"},
            **changes,
        },
    }


def status(kubectl: Kubectl, name: str = "driver") -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", "dmsd", name).get("status") or {}
    return found


def wait_for_phase(kubectl: Kubectl, phase: str, name: str = "driver") -> dict[str, Any]:
    return wait_for(lambda: (now := status(kubectl, name)).get("phase") == phase and now, 90, f"{name} is {phase}")


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((each for each in found["conditions"] if each["type"] == kind), {})


def runs_by_recipe(stages: FakeStages) -> Counter[str]:
    return Counter(run["recipe"] for run in stages.runs())


def have_started(stages: FakeStages, count: int) -> bool:
    return len(stages.runs()) >= count


def test_a_deployment_gets_ready_and_every_stage_runs_once(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    kubectl("wait", "--for=condition=Ready", "dmsd/driver", "--timeout=90s")
    assert [run["stage"] for run in stages.runs()] == ["resolve", "quantize", "quantize", "convert", "benchmark"]
    row = kubectl("get", "dmsd", "driver", "--no-headers")
    assert "Ready" in row and "int8" in row
    described = kubectl("describe", "dmsd", "driver")
    assert "StageSucceeded" in described


def test_kopf_leaves_no_trace_on_any_object(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    wait_for_phase(kubectl, "Ready")
    for body in kubectl.json("get", "dmsd,jobs,pods,nodes")["items"]:
        assert "kopf" not in json.dumps(body["metadata"])
        assert "dms.edge/operator" not in body["metadata"].get("finalizers", [])


def test_an_operator_that_is_killed_mid_run_resumes_where_the_world_is(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(driver__quantize={"hold": f"{kubectl.namespace}-gate"})
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: stages.runs(stage="quantize"), 60, "quantize runs")
    operator.kill()
    stages.release(f"{kubectl.namespace}-gate")
    wait_for(lambda: stages.runs("end", stage="quantize"), 60, "quantize ended while no operator lived")
    operator.start()
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}


def test_an_operator_that_is_killed_again_and_again_runs_nothing_twice(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    for started in range(1, 6):
        wait_for(partial(have_started, stages, started), 60, f"{started} stages started")
        operator.kill()
        operator.start()
    wait_for_phase(kubectl, "Ready")
    assert set(runs_by_recipe(stages).values()) == {1}
    assert len(runs_by_recipe(stages)) == 5


def test_sigterm_ends_the_operator_cleanly(operator_process: StartOperator, stages: FakeStages) -> None:
    operator = operator_process(stages.settings)
    assert operator.get("/healthz") == (200, "ok\n")
    assert operator.stop() == 0
    assert "Traceback" not in operator.log.read_text()


def test_a_deployment_that_comes_back_from_a_backup_with_its_status_runs_nothing_again(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    before = wait_for_phase(kubectl, "Ready")
    saved = kubectl.json("get", "dmsd", "driver")
    kubectl("delete", "dmsd", "driver")
    operator.stop()
    for field in ("uid", "resourceVersion", "managedFields", "finalizers"):
        saved["metadata"].pop(field, None)
    kubectl("create", "-f", "-", stdin=json.dumps(saved))
    kubectl("replace", "--subresource=status", "-f", "-", stdin=json.dumps(saved))
    operator.start()
    operator.wait_ready()
    changed = {**saved["spec"], "benchmark": {"latencyBudget": "49ms", "minProvenance": "estimated"}}
    kubectl.apply({**deployment(kubectl), "spec": changed})
    wait_for(lambda: status(kubectl)["observedGeneration"] == 2, 60, "the operator has looked at it")
    assert status(kubectl)["phase"] == "Ready"
    assert status(kubectl)["revision"]["current"] == before["revision"]["current"]
    assert set(runs_by_recipe(stages).values()) == {1}


def test_a_suspended_deployment_starts_nothing_until_it_is_resumed(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, suspend=True))
    wait_for_phase(kubectl, "Suspended")
    assert kubectl.json("get", "jobs")["items"] == []
    kubectl("patch", "dmsd", "driver", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    wait_for_phase(kubectl, "Ready")


def test_suspending_lets_the_running_stage_end_and_starts_no_other(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__resolve={"hold": gate})
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: stages.runs(stage="resolve"), 60, "resolve runs")
    kubectl("patch", "dmsd", "driver", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    wait_for_phase(kubectl, "Suspended")
    stages.release(gate)
    wait_for(lambda: status(kubectl).get("model"), 60, "the ended stage is taken note of")
    wait_for(lambda: operator.metric("dms_queue_depth") == 0, 30, "nothing is left to do")
    assert [run["stage"] for run in stages.runs()] == ["resolve"]


def test_deleting_a_deployment_ends_its_jobs_pods_and_processes(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(driver__quantize={"hold": f"{kubectl.namespace}-never"})
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: stages.runs(stage="quantize"), 60, "quantize runs")
    assert operator.metric("dms_deployment_phase", deployment="driver") == 1
    kubectl("delete", "dmsd", "driver", "--timeout=60s")
    wait_for(lambda: not kubectl.json("get", "jobs,pods")["items"], 60, "its Jobs and pods are gone")
    wait_for(lambda: "driver" not in operator.get("/metrics")[1], 30, "its series are gone")
    assert stages.runs("end", stage="quantize") == []


def test_two_deployments_share_one_board_one_after_the_other(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(benchmark={"hold": gate})
    operator = operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, "first"), deployment(kubectl, "second"))
    waiting = wait_for(lambda: _waiting_for_a_board(kubectl), 60, "one deployment waits for the board")
    assert waiting == ["next in line for a qcs8255 board"]
    assert len(wait_for(lambda: stages.runs(stage="benchmark"), 60, "the other's benchmark runs")) == 1
    assert operator.metric("dms_board_allocated", board="qcs8255") == 1
    stages.release(gate)
    for name in ("first", "second"):
        wait_for_phase(kubectl, "Ready", name)
    order = [run["event"] for run in stages.runs("", stage="benchmark")]
    assert order == ["start", "end", "start", "end"]


def _waiting_for_a_board(kubectl: Kubectl) -> list[str]:
    stages = [
        stage for body in kubectl.json("get", "dmsd")["items"] for stage in body.get("status", {}).get("stages", [])
    ]
    return [stage["message"] for stage in stages if "board" in stage.get("message", "")]


def test_a_failing_target_does_not_harm_the_other(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    missing = {"reason": "ToolchainUnavailable", "message": "TIDL tools are not installed", "retryable": False}
    stages.behave(**{"driver__convert__on-tda4vm": {"failure": missing}})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, "driver", "qcs8255", "tda4vm"))
    found = wait_for_phase(kubectl, "Failed")
    assert {target["name"]: target["state"] for target in found["targets"]} == {
        "on-qcs8255": "Ready",
        "on-tda4vm": "Failed",
    }
    assert condition(found, "Stalled")["status"] == "True"
    assert "TIDL tools are not installed" in kubectl("get", "dmsd", "driver", "-o", "wide")


def test_a_terminal_failure_is_tried_once_more_when_the_user_asks(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    broken = {"reason": "ConversionFailed", "message": "the licence server is away", "retryable": False}
    stages.behave(driver__convert={"failure": broken})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    wait_for_phase(kubectl, "Failed")
    assert len(stages.runs(stage="convert")) == 1
    stages.behave()
    kubectl("annotate", "dmsd", "driver", "dms.edge/retry=1")
    found = wait_for_phase(kubectl, "Ready")
    assert found["handledRetry"] == "1"
    assert len(stages.runs(stage="convert")) == 2


def test_a_pod_that_crashes_is_retried_by_its_job(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(driver__resolve={"crash": 2})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    found = wait_for_phase(kubectl, "Ready")
    assert len(stages.runs(stage="resolve")) == 3
    assert next(stage for stage in found["stages"] if stage["stage"] == "resolve")["attempts"] == 2


def test_editing_the_spec_replaces_what_runs(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__quantize={"hold": gate})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    held = wait_for(lambda: stages.runs(stage="quantize"), 60, "quantize runs")[0]["recipe"]
    kubectl("patch", "dmsd", "driver", "--type=merge", "-p", '{"spec":{"dataset":{"evaluationSamples":500}}}')
    wait_for(lambda: {run["recipe"] for run in stages.runs(stage="quantize")} - {held}, 60, "another quantize runs")
    stages.release(gate)
    wait_for_phase(kubectl, "Ready")
    assert held not in {run["recipe"] for run in stages.runs("end")}


def test_a_board_label_is_turned_into_capacity_and_back(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator_process(stages.settings)

    def offered() -> str | None:
        offer: dict[str, str] = kubectl.json("get", "node", "build-1")["status"]["capacity"]
        return offer.get("dms.edge/sa8255")

    try:
        kubectl("label", "node", "build-1", "dms.edge/board=sa8255")
        wait_for(lambda: offered() == "1", 30, "the board is offered")
        kubectl("annotate", "node", "build-1", "dms.edge/board-disabled=true")
        wait_for(lambda: offered() is None, 30, "a disabled board is not offered")
        kubectl("annotate", "node", "build-1", "dms.edge/board-disabled-")
        wait_for(lambda: offered() == "1", 30, "the board is offered again")
    finally:
        kubectl("label", "node", "build-1", "dms.edge/board-")
    wait_for(lambda: offered() is None, 30, "without the label nothing is offered")


def test_a_label_that_went_while_no_operator_lived_is_noticed_at_start(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    operator = operator_process(stages.settings)
    kubectl("label", "node", "build-1", "dms.edge/board=sa8255")

    def offered() -> bool:
        return "dms.edge/sa8255" in kubectl.json("get", "node", "build-1")["status"]["capacity"]

    wait_for(offered, 30, "the board is offered")
    operator.kill()
    kubectl("label", "node", "build-1", "dms.edge/board-")
    operator.start()
    wait_for(lambda: not offered(), 30, "the offer is taken back")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_ready_deployments_cost_no_write_in_sixty_idle_seconds(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    _assert_idle(kubectl, operator_process(stages.settings), count=20, seconds=60)


def test_ready_deployments_cost_no_write_while_idle(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    _assert_idle(kubectl, operator_process(stages.settings), count=3, seconds=10)


def _assert_idle(kubectl: Kubectl, operator: Any, *, count: int, seconds: int) -> None:
    names = [f"driver-{number}" for number in range(count)]
    kubectl.apply(*(deployment(kubectl, name) for name in names))
    kubectl("wait", "--for=condition=Ready", *(f"dmsd/{name}" for name in names), "--timeout=400s")
    wait_for(lambda: operator.metric("dms_queue_depth") == 0, 30, "nothing is left to do")
    before, versions = operator.writes(), _versions(kubectl)
    time.sleep(seconds)  # the promise is about a span of idle time, so that time has to pass
    assert operator.writes() == before
    assert _versions(kubectl) == versions
    assert operator.get("/healthz")[0] == 200


def _versions(kubectl: Kubectl) -> dict[str, str]:
    bodies = kubectl.json("get", "dmsd,jobs,pods")["items"]
    return {f"{body['kind']}/{body['metadata']['name']}": body["metadata"]["resourceVersion"] for body in bodies}
