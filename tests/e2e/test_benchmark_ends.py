"""How a benchmark ends: a budget that is missed, figures that prove nothing, a board that vanishes, a run that hangs.

The stages are fake: a test decides what they find and how long they take. Cluster, kubectl and operator are not.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import FakeStages, StartOperator
from e2e.running import Kubectl, wait_for
from e2e.test_operator_on_devcluster import condition, deployment, status, wait_for_phase

BOARD = "bench-qcs8255"
Happen = Callable[..., None]


def measured(p50: str, bound: str | None, samples: int) -> dict[str, Any]:
    figure = {"provenance": "measured", "p50": p50, "samples": samples, "source": "fake board"}
    return {"facts": {"latencies": [figure | ({"bound": bound} if bound else {})], "accuracyProvenance": "measured"}}


@pytest.fixture
def happen(kubectl: Kubectl, tmp_path: Path) -> Happen:
    """`happen("kill-pod", name=...)` lets something happen to the dev cluster, as anybody with kubectl can."""

    def happen(what: str, **event: Any) -> None:
        path = tmp_path / "event.json"
        path.write_text(json.dumps({"what": what, **event}))
        kubectl("create", "--raw", "/-/happenings", "-f", str(path))

    return happen


def benchmark_pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = kubectl.json("get", "pods", "-l", "dms.edge/stage=benchmark")["items"]
    return pods


def running_benchmark(kubectl: Kubectl, stages: FakeStages, runs: int = 1) -> str:
    """Name of the pod whose benchmark runs now, the `runs`-th one of this test."""
    wait_for(lambda: len(stages.runs(stage="benchmark")) == runs, 60, f"benchmark number {runs} runs")
    return wait_for(
        lambda: next(
            (str(p["metadata"]["name"]) for p in benchmark_pods(kubectl) if p["status"]["phase"] == "Running"), ""
        ),
        30,
        "its pod is seen",
    )


def test_a_missed_budget_ends_in_budget_met_false_with_the_measured_and_the_allowed_value(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(driver__benchmark=measured("41ms", "61.2ms", 700))
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, benchmark={"latencyBudget": "50ms", "minProvenance": "measured"}))
    found = wait_for_phase(kubectl, "Failed")
    missed = condition(found, "BudgetMet")
    assert (missed["status"], missed["reason"]) == ("False", "LatencyBudgetExceeded")
    assert "p99 at most 61.2 ms (measured), budget 50 ms" in missed["message"]
    kubectl("wait", "--for=condition=BudgetMet=False", "dmsd/driver", "--timeout=10s")
    assert "GateFailed" in kubectl("describe", "dmsd", "driver")


def test_too_few_queries_end_inconclusive_and_say_how_many_more_are_needed(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(driver__benchmark=measured("30ms", None, 400))
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl, benchmark={"latencyBudget": "50ms"}))
    missed = condition(wait_for_phase(kubectl, "Failed"), "BudgetMet")
    assert (missed["status"], missed["reason"]) == ("False", "LatencyInconclusive")
    assert "400 timed queries are too few for a bound of p99: 262 more are needed (measured)" in missed["message"]


def test_too_few_samples_end_inconclusive_before_any_training_and_say_how_many_would_decide(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    score = {"metric": "top1", "value": 0.975, "low": 0.94, "high": 0.99, "samples": 200}
    lost = {"low": 0.0, "high": 0.0235, "lost": 1, "gained": 0}
    facts = {"facts": {"accuracy": score, "accuracyDrop": 0.005, "dropInterval": lost}}
    stages.behave(driver__quantize=facts)
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    found = wait_for_phase(kubectl, "Failed")
    assert condition(found, "BudgetMet")["status"] == "False"
    missed = condition(found, "Quantized")
    assert (missed["status"], missed["reason"]) == ("False", "AccuracyInconclusive")
    assert "lost 0.5 points of top1 on 200 samples, at most 2.35 points at 95 % confidence" in missed["message"]
    assert "about 1200 samples would decide" in missed["message"]
    assert len(stages.runs(stage="quantize")) == 2  # the reference and one variant


def test_a_loss_within_the_limit_that_is_not_proven_leads_to_the_next_calibration_and_the_cluster_tells_why(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    score = {"metric": "top1", "value": 0.978, "low": 0.97, "high": 0.99, "samples": 480}
    lost = {"low": 0.0008, "high": 0.0131, "lost": 2, "gained": 0}
    stages.behave(driver__quantize__minmax={"facts": {"accuracy": score, "accuracyDrop": 0.0042, "dropInterval": lost}})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    found = wait_for_phase(kubectl, "Ready")
    assert [each["name"] for each in found["variants"]] == ["fp32", "int8-qnn", "int8-qnn-percentile"]
    assert "lost 0.42 points of top1 on 480 samples" in found["variants"][1]["reason"]
    assert found["targets"][0]["variant"] == "int8-qnn-percentile"
    assert "static" in kubectl("get", "dmsd", "driver", "-o", "wide")
    told = kubectl("describe", "dmsd", "driver")
    assert "about 920 samples would decide" in told
    assert "int8-qnn-percentile for qcs8255, 2 variants tried" in told


@pytest.mark.slow
def test_a_new_revision_that_is_slower_than_the_stable_one_is_refused_until_the_spec_accepts_it(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(driver__benchmark=measured("10ms", "12ms", 700))
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    stable = wait_for_phase(kubectl, "Ready")["revision"]["stable"]
    stages.behave(driver__benchmark=measured("20ms", "22ms", 700))
    changed = deployment(kubectl)
    changed["spec"]["model"]["uri"] += "?v2"
    kubectl.apply(changed)
    found = wait_for_phase(kubectl, "Failed")
    assert condition(found, "BudgetMet")["reason"] == "LatencyRegressed"
    assert f"100 % above 10 ms of stable revision {stable}, 10 % allowed" in condition(found, "BudgetMet")["message"]
    assert found["revision"]["stable"] == stable
    changed["spec"]["benchmark"] = {"regression": {"latency": "150%"}}
    kubectl.apply(changed)
    assert wait_for_phase(kubectl, "Ready")["revision"]["baseline"] == stable


def test_a_board_pod_that_is_killed_mid_run_is_started_again(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, happen: Happen
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__benchmark={"hold": gate})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    happen("kill-pod", namespace=kubectl.namespace, name=running_benchmark(kubectl, stages))
    running_benchmark(kubectl, stages, runs=2)
    wait_for(lambda: "exit code 137" in str(status(kubectl).get("stages")), 30, "status says that the first one died")
    stages.release(gate)
    found = wait_for_phase(kubectl, "Ready")
    assert next(stage for stage in found["stages"] if stage["stage"] == "benchmark")["attempts"] == 1


def test_a_board_that_vanishes_mid_run_costs_no_attempt_and_its_benchmark_runs_again_when_it_is_back(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, happen: Happen
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__benchmark={"hold": gate})
    away = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    operator_process({**stages.settings, "tolerations": [{**away, "tolerationSeconds": 1}]})
    kubectl.apply(deployment(kubectl))
    lost = running_benchmark(kubectl, stages)
    try:
        happen("silence-node", name=BOARD)
        wait_for(lambda: _is_deleted(kubectl, lost), 60, "the pod on the lost board is given up")
        wait_for(lambda: f"{BOARD} was lost or is drained" in str(status(kubectl).get("summary")), 30, "status says so")
        assert status(kubectl)["phase"] == "Benchmarking"
    finally:
        happen("revive-node", name=BOARD)
    assert running_benchmark(kubectl, stages, runs=2) != lost
    stages.release(gate)
    found = wait_for_phase(kubectl, "Ready")
    assert next(stage for stage in found["stages"] if stage["stage"] == "benchmark").get("attempts", 0) == 0


def _is_deleted(kubectl: Kubectl, pod: str) -> bool:
    found = next((each for each in benchmark_pods(kubectl) if each["metadata"]["name"] == pod), None)
    return found is None or "deletionTimestamp" in found["metadata"]


@pytest.mark.slow
def test_a_board_that_is_silent_for_a_while_keeps_its_run(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages, happen: Happen
) -> None:
    gate = f"{kubectl.namespace}-gate"
    stages.behave(driver__benchmark={"hold": gate})
    operator_process(stages.settings)
    kubectl.apply(deployment(kubectl))
    running_benchmark(kubectl, stages)
    try:
        happen("silence-node", name=BOARD)
        stages.release(gate)
        wait_for(lambda: stages.runs("end", stage="benchmark"), 30, "it ended unseen")
    finally:
        happen("revive-node", name=BOARD)
    wait_for_phase(kubectl, "Ready")
    assert len(stages.runs(stage="benchmark")) == 1


def test_a_benchmark_that_hangs_is_ended_by_its_deadline_and_frees_the_board(
    kubectl: Kubectl, operator_process: StartOperator, stages: FakeStages
) -> None:
    stages.behave(stuck__benchmark={"hold": f"{kubectl.namespace}-never"})
    operator_process({**stages.settings, "deadlines": {"benchmark": "3s"}, "backoffLimit": 1})
    kubectl.apply(deployment(kubectl, "stuck"))
    running_benchmark(kubectl, stages)
    kubectl.apply(deployment(kubectl, "next"))
    wait_for_phase(kubectl, "Ready", "next")
    found = wait_for_phase(kubectl, "Failed", "stuck")
    stalled = condition(found, "Stalled")
    assert stalled["reason"] == "DeadlineExceeded"
    assert "The benchmark pod ran too long: raise deadlines.benchmark" in stalled["message"]
    assert len(stages.runs(stage="benchmark")) == 3  # twice stuck, once next
