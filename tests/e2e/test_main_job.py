"""The main job on real input: the example makes a benchmarked SA8255 artifact of the committed model."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from driver_monitor.dataset import write_dataset
from e2e.real_stages import RealStages
from e2e.running import REPOSITORY, Cluster, Kubectl, OperatorProcess, wait_for

DEADLINE = 280
NAME = "driver-monitor"


class Job:
    """The example, applied and come to its end."""

    def __init__(self, kubectl: Kubectl, operator: OperatorProcess, stages: RealStages) -> None:
        self.kubectl, self.operator, self.stages = kubectl, operator, stages

    def body(self, name: str = NAME) -> dict[str, Any]:
        body: dict[str, Any] = self.kubectl.json("get", "dmsd", name)
        return body

    def status(self, name: str = NAME) -> dict[str, Any]:
        status: dict[str, Any] = self.body(name).get("status", {})
        return status

    def jobs(self) -> set[str]:
        return {job["metadata"]["uid"] for job in self.kubectl.json("get", "jobs")["items"]}

    def ended(self, name: str = NAME) -> bool:
        body = self.body(name)
        status = body.get("status", {})
        current = status.get("observedGeneration") == body["metadata"]["generation"]
        return current and status.get("phase") in ("Ready", "Failed")


def _shorten(spec: dict[str, Any]) -> None:
    """Fewer clips, which prove less: 120 without a loss a drop of at most 0.025; and a short benchmark."""
    spec["dataset"] |= {"calibrationSamples": 32, "evaluationSamples": 120}
    spec["quantization"] = {**spec.get("quantization", {}), "maxAccuracyDrop": 0.05}
    spec["benchmark"] = {**spec.get("benchmark", {}), "profile": "rapid"}


@pytest.fixture(scope="module")
def job(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    directory = tmp_path_factory.mktemp("main-job")
    stages = RealStages(cluster, directory)
    model = REPOSITORY / "examples" / "models" / "driver-monitor.pt2"
    stages.path("models", "driver-monitor.pt2").write_bytes(model.read_bytes())
    write_dataset(stages.path("data", "dms-val.npz"), samples=160, seed=7)
    kubectl = Kubectl(cluster.kubeconfig, directory).within(f"main-job-{uuid4().hex[:6]}")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
    operator = stages.operator(cluster, kubectl)
    operator.start()
    try:
        operator.wait_ready()
        example = yaml.safe_load((REPOSITORY / "examples" / "driver-monitor.yaml").read_text())
        _shorten(example["spec"])
        kubectl.apply(example)
        found = Job(kubectl, operator, stages)
        wait_for(found.ended, DEADLINE, "the example comes to its end")
        yield found
    finally:
        operator.stop()
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def candidate(status: dict[str, Any]) -> dict[str, Any]:
    (found,) = status["targets"][0]["candidates"]
    return dict(found)


def test_the_deployment_is_ready(job: Job) -> None:
    status = job.status()
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert status["phase"] == "Ready", status["summary"]
    assert conditions == dict.fromkeys(("Ready", "ModelResolved", "Quantized", "Converted", "BudgetMet"), "True")


def test_kubectl_wait_sees_it(job: Job) -> None:
    job.kubectl("wait", "--for=condition=Ready", f"dmsd/{NAME}", "--timeout=10s")


def test_accuracy_is_counted_on_samples_that_calibration_never_saw(job: Job) -> None:
    variants = {variant["precision"]: variant for variant in job.status()["variants"]}
    assert variants["fp32"]["accuracy"]["samples"] == 120
    assert variants["fp32"]["accuracy"]["value"] > 0.95
    assert variants["int8"]["accuracyDrop"] <= 0.01
    assert variants["int8"]["scheme"].startswith("w8a8")
    assert variants["int8"]["sizeBytes"] < 0.35 * variants["fp32"]["sizeBytes"]


def test_every_node_runs_on_the_npu(job: Job) -> None:
    delegation = job.status()["targets"][0]["delegation"]
    assert delegation["npu"] == delegation["total"] > 50


def test_the_selected_latency_is_the_cost_models_and_says_so(job: Job) -> None:
    latency = job.status()["targets"][0]["latency"]
    assert latency["provenance"] == "simulated"
    assert "p99" not in latency, "a cost model has no percentiles"
    assert float(latency["p50"].removesuffix("ms")) <= float(latency["bound"].removesuffix("ms")) < 50


def test_the_host_latency_stands_beside_it_under_its_own_name(job: Job) -> None:
    latencies = candidate(job.status())["benchmark"]["latencies"]
    assert [latency["provenance"] for latency in latencies] == ["simulated", "host"]


def test_the_simulator_ran_the_compiled_kernels_on_samples(job: Job) -> None:
    benchmark = candidate(job.status())["benchmark"]
    assert benchmark["accuracyProvenance"] == "simulated"
    assert benchmark["accuracyOnTarget"]["samples"] >= 16
    assert benchmark["accuracyOnTarget"]["agreement"] >= 0.9


def test_the_artifact_in_the_store_is_bound_to_the_soc(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dms_operator.artifacts.store import open_store
    from dms_operator.toolchains.qnn.binary import read_target

    digest = job.status()["targets"][0]["artifact"]["digest"]
    monkeypatch.setenv("CONTAINER_SANDBOX_MOUNT_POINT", str(job.stages.directory))
    files = open_store("file:///artifacts").fetch(digest, tmp_path)
    assert {"model_ctx.onnx", "model_ctx_qnn.bin", "model.dlc", "manifest.json"} <= files.keys()
    target = read_target(files["model_ctx_qnn.bin"])
    assert (target.soc_model, target.architecture) == (52, 73), "SA8255, Hexagon v73"


def test_a_benchmark_pod_holds_the_board_while_it_runs(job: Job) -> None:
    pods = job.kubectl.json("get", "pods", "-l", "dms.edge/stage=benchmark")["items"]
    assert [pod["spec"]["nodeName"] for pod in pods] == ["bench-qcs8255"]
    limits = pods[0]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["dms.edge/qcs8255"] == "1"


def test_no_pod_has_an_account_token(job: Job) -> None:
    pods = job.kubectl.json("get", "pods")["items"]
    assert {pod["spec"]["automountServiceAccountToken"] for pod in pods} == {False}


def test_a_stage_is_replayed_by_hand_from_its_pods_request(job: Job, tmp_path: Path) -> None:
    pod = job.kubectl.json("get", "pods", "-l", "dms.edge/stage=resolve")["items"][0]
    variables = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}
    request = tmp_path / "request.json"
    request.write_text(variables["DMS_REQUEST"])
    command = [sys.executable, "-m", "dms_operator.cli.main", "stage", "run", str(request)]
    environment = {
        "PATH": str(Path(sys.executable).parent),
        "CONTAINER_SANDBOX_MOUNT_POINT": str(job.stages.directory),
        "DMS_TERMINATION_LOG": "/result.json",
        "PYTHONPATH": str(REPOSITORY / "operator"),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    result = (job.stages.directory / "result.json").read_text()
    assert job.status()["model"]["digest"] in result


def test_metrics_tell_the_same_story(job: Job) -> None:
    latency = job.status()["targets"][0]["latency"]
    shown = job.operator.metric("dms_model_latency_seconds", provenance="simulated", statistic="bound")
    assert shown == pytest.approx(float(latency["bound"].removesuffix("ms")) / 1e3)
    assert job.operator.metric("dms_deployment_phase", phase="Ready") == 1


def plugin(job: Job, *arguments: str) -> str:
    """What `kubectl dms ...` prints."""
    done = job.kubectl.dms(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kubectl_dms_compare_shows_float_and_int8_and_recommends_by_rules(job: Job) -> None:
    found = json.loads(plugin(job, "compare", NAME, "--output=json"))
    (model,) = found["models"]
    rows = {row["precision"]: row for row in model["rows"]}
    assert list(rows) == ["FP32", "INT8 qnn static", "FP32 -> INT8"]
    assert rows["INT8 qnn static"]["latency"]["provenance"] == "simulated" and rows["INT8 qnn static"]["passes"]
    assert rows["FP32"]["latency"]["provenance"] == "host"
    assert rows["INT8 qnn static"]["power"]["provenance"] == "unavailable" and rows["INT8 qnn static"]["power"]["notes"]
    advice = {line["rule"]: line["text"] for line in found["recommendation"] if not line["missing"]}
    assert advice["entry-board"] == "Use INT8 on qcs8255 (high-end board)"
    assert {"int8-first", "qat-when-needed", "backbone"} <= advice.keys()


def test_kubectl_dms_report_tells_the_run_from_ladder_to_layers(job: Job, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    plugin(job, "report", NAME, f"--store=file://{job.stages.path('artifacts', '')}", f"--to={page}")
    text = page.read_text()
    assert "Not in this report" not in text
    for told in ("passed every gate and was selected", "costliest of", "queries, host:", "dms stage run request.json"):
        assert told in text
    assert len(text) < 100_000 and "http" not in text


def test_another_latency_budget_starts_no_job_and_is_judged_at_once(job: Job) -> None:
    before = job.jobs()
    job.kubectl("patch", "dmsd", NAME, "--type=merge", "-p", '{"spec": {"benchmark": {"latencyBudget": "10us"}}}')
    wait_for(lambda: job.ended() and job.status()["phase"] == "Failed", 30, "the budget is missed")
    conditions = {condition["type"]: condition for condition in job.status()["conditions"]}
    assert conditions["BudgetMet"]["status"] == "False"
    assert "budget 0.01 ms" in conditions["BudgetMet"]["message"]
    job.kubectl("patch", "dmsd", NAME, "--type=merge", "-p", '{"spec": {"benchmark": {"latencyBudget": "50ms"}}}')
    wait_for(lambda: job.ended() and job.status()["phase"] == "Ready", 30, "the budget is met again")
    assert job.jobs() == before


def test_three_boards_are_ready_each_with_the_evidence_that_there_is(job: Job) -> None:
    example = yaml.safe_load((REPOSITORY / "examples" / "three-boards.yaml").read_text())
    name = example["metadata"]["name"]
    _shorten(example["spec"])
    job.kubectl.apply(example)
    wait_for(lambda: job.ended(name), DEADLINE, "three targets come to their end")
    status = job.status(name)
    assert status["phase"] == "Ready", status["summary"]
    cockpit, successor, entry = status["targets"]
    assert [each["latency"]["provenance"] for each in (cockpit, successor)] == ["simulated"] * 2
    assert cockpit["artifact"]["digest"] != successor["artifact"]["digest"], "each is bound to its SoC"
    assert entry["latency"]["provenance"] == "estimated"
    assert entry["delegation"]["npu"] == entry["delegation"]["total"] > 50
    (found,) = entry["candidates"]
    assert found["benchmark"]["accuracyProvenance"] == "estimated"
    schemes = {variant["name"]: variant["scheme"] for variant in status["variants"]}
    assert schemes["int8-tidl"] == "w8a8 power-of-two per-tensor" and schemes["int8-qnn"] == "w8a8 per-channel"


def test_an_estimate_is_not_enough_where_the_target_does_not_say_so(job: Job) -> None:
    name = "driver-monitor-three-boards"
    change = [{"op": "remove", "path": "/spec/targets/2/minProvenance"}]
    refused = job.kubectl.run("patch", "dmsd", name, "--type=json", "-p", json.dumps(change))
    assert refused.returncode != 0
    assert "can never pass as more: set targets[].minProvenance to estimated" in refused.stderr
    assert job.status(name)["phase"] == "Ready"


def test_a_board_without_its_tools_fails_alone(job: Job) -> None:
    name = "driver-monitor-three-boards"
    change = [{"op": "remove", "path": "/spec/targets/2/options"}]
    job.kubectl("patch", "dmsd", name, "--type=json", "-p", json.dumps(change))

    def told() -> bool:
        message = job.status(name)["summary"]["message"]
        return job.ended(name) and "TIDL tools are not installed in the converter image" in message

    wait_for(told, 60, "the lack of TI's tools is told")
    states = {target["name"]: target["state"] for target in job.status(name)["targets"]}
    assert states == {"cockpit": "Ready", "successor": "Ready", "entry": "Failed"}
    job.kubectl("delete", "dmsd", name)


def test_deleting_the_deployment_takes_its_jobs_along_and_leaves_the_artifacts(job: Job) -> None:
    digest = job.status()["targets"][0]["artifact"]["digest"].removeprefix("sha256:")
    job.kubectl("delete", "dmsd", NAME)
    wait_for(lambda: not job.jobs(), 30, "its jobs are gone")
    wait_for(lambda: not job.kubectl.json("get", "pods")["items"], 30, "its pods are gone")
    assert list(job.stages.path("artifacts", "").rglob(f"{digest}*"))
    assert job.operator.metric("dms_model_latency_seconds") == 0
