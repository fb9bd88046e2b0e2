"""Gates on figures that the real stages found: nothing is measured here, and the status says so."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

import model_fixtures as fixtures
from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DEADLINE = 200
CAMERA = {"endToEnd": {"width": 64, "height": 48}}
NAMES = ("few-samples", "camera", "memory")


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The namespace of the deployments, when they have come to their end."""
    directory = tmp_path_factory.mktemp("gates")
    stages = RealStages(cluster, directory)
    fixtures.tiny_classifier(stages.path("models", "tiny.onnx"))
    fixtures.tiny_dataset(stages.path("data", "tiny.npz"))
    found = Kubectl(cluster.kubeconfig, directory).within(f"gates-{uuid4().hex[:6]}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace}})
    operator = stages.operator(cluster, found)
    operator.start()
    try:
        operator.wait_ready()
        found.apply(
            deployment("few-samples", quantization={"maxAccuracyDrop": 0.01}, dataset={"evaluationSamples": 300}),
            deployment("camera", benchmark=CAMERA),
            deployment("memory", benchmark={"memoryBudget": "1Ki"}),
        )
        wait_for(lambda: all(phase(found, name) in ("Ready", "Failed") for name in NAMES), DEADLINE, "all have ended")
        yield found
    finally:
        operator.stop()
        found("delete", "namespace", found.namespace, "--wait=false")


def status(kubectl: Kubectl, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", "dmsd", name).get("status", {})
    return found


def phase(kubectl: Kubectl, name: str) -> str:
    return str(status(kubectl, name).get("phase"))


def missed(kubectl: Kubectl, name: str) -> dict[str, Any]:
    """The first gate that was missed (a busy machine may make the latency noisy as well), and what BudgetMet says."""
    found = status(kubectl, name)
    gates = found["targets"][0]["candidates"][-1]["gates"]
    gate = next(each for each in gates if each["outcome"] != "Pass")
    (met,) = [each for each in found["conditions"] if each["type"] == "BudgetMet"]
    return {**gate, "met": met["status"], "reason": found["targets"][0]["reason"]}


def test_a_dataset_of_which_48_samples_evaluate_proves_no_point_even_without_any_loss(kubectl: Kubectl) -> None:
    gate = missed(kubectl, "few-samples")
    assert (gate["name"], gate["outcome"], gate["reason"]) == ("accuracy", "Inconclusive", "AccuracyInconclusive")
    assert gate["message"] == (
        "lost 0.0 points of top1 on 48 samples, at most 6.05 points at 95 % confidence, 1.0 points allowed: "
        "about 300 samples would decide"
    )
    assert gate["met"] == "False"
    tried = [variant["name"] for variant in status(kubectl, "few-samples")["variants"]]
    assert tried == ["fp32", "int8-qnn"]


def test_camera_to_decision_without_a_board_is_an_estimate_and_asks_for_a_weaker_provenance(kubectl: Kubectl) -> None:
    gate = missed(kubectl, "camera")
    assert (gate["name"], gate["reason"], gate["value"]) == ("provenance", "ProvenanceTooWeak", "estimated")
    assert gate["message"] == "camera-to-decision latency is estimated, minProvenance is simulated"
    benchmark = status(kubectl, "camera")["targets"][0]["candidates"][-1]["benchmark"]
    assert benchmark["endToEnd"]["provenance"] == "estimated"
    assert "QNN cost model SA8255 v73 + processing on the CPU" in benchmark["endToEnd"]["source"]


def test_memory_that_is_at_least_too_much_misses_its_budget_without_a_board(kubectl: Kubectl) -> None:
    gate = missed(kubectl, "memory")
    assert (gate["name"], gate["outcome"], gate["reason"]) == ("memory", "Fail", "MemoryBudgetExceeded")
    assert gate["message"].startswith("memory is at least ")
    assert "(estimated: the artifact, inputs and outputs), budget 1 KiB" in gate["message"]
