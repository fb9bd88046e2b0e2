"""Gates on figures that the real stages found: nothing is measured here, and the status says so."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

import model_fixtures as fixtures
from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DEADLINE = 200
CAMERA = {"endToEnd": {"width": 64, "height": 48}}
NAMES = ("few-samples", "one-hot", "column", "camera", "memory")


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The namespace of the deployments, when they have come to their end."""
    directory = tmp_path_factory.mktemp("gates")
    stages = RealStages(cluster, directory)
    fixtures.tiny_classifier(stages.path("models", "tiny.onnx"))
    data = fixtures.tiny_dataset(stages.path("data", "tiny.npz"))
    with_labels(data, "column.npz", lambda labels: labels[:, None])
    with_labels(data, "one-hot.npz", lambda labels: np.eye(3, dtype=np.int64)[labels])
    found = Kubectl(cluster.kubeconfig, directory).within(f"gates-{uuid4().hex[:6]}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace}})
    operator = stages.operator(cluster, found)
    operator.start()
    try:
        operator.wait_ready()
        found.apply(
            deployment("few-samples", quantization={"maxAccuracyDrop": 0.01}, dataset={"evaluationSamples": 300}),
            deployment("camera", benchmark=CAMERA),
            deployment("one-hot", dataset={"uri": "file:///data/one-hot.npz"}),
            deployment("column", dataset={"uri": "file:///data/column.npz"}),
            deployment("memory", benchmark={"memoryBudget": "1Ki"}),
        )
        wait_for(lambda: all(phase(found, name) in ("Ready", "Failed") for name in NAMES), DEADLINE, "all have ended")
        yield found
    finally:
        operator.stop()
        found("delete", "namespace", found.namespace, "--wait=false")


def with_labels(data: Path, name: str, changed: Callable[[np.ndarray], np.ndarray]) -> None:
    """The same samples with other labels, beside them."""
    with np.load(data) as file:
        np.savez(data.with_name(name), **{**file, "labels": changed(file["labels"])})


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


def test_a_dataset_of_which_48_samples_evaluate_proves_no_point_and_no_variant_is_made_for_it(kubectl: Kubectl) -> None:
    found = status(kubectl, "few-samples")
    assert [stage["name"] for stage in found["stages"]] == ["resolve"]
    assert found["targets"][0]["reason"] == "AccuracyInconclusive"
    assert found["summary"]["message"] == (
        "the dataset has 64 samples, of which 48 evaluate: a drop of at most 1.0 points takes 299 to prove, even "
        "without any loss. Give 315 samples or quantization.maxAccuracyDrop: 0.061"
    )


def test_labels_that_are_one_hot_end_after_resolve_and_a_column_of_numbers_is_taken(kubectl: Kubectl) -> None:
    found = status(kubectl, "one-hot")
    assert [stage["name"] for stage in found["stages"]] == ["resolve"]
    assert "Save labels.argmax(axis=1) if these are one-hot" in found["summary"]["message"]
    (fp32, *_) = status(kubectl, "column")["variants"]
    assert (fp32["name"], fp32["accuracy"]["samples"]) == ("fp32", 32)


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
