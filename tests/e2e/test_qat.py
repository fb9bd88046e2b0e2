"""A deployment whose int4 fails after every kind of post-training quantization, and passes by training."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for
from model_fixtures import tiny_dataset
from pipeline.qat_nets import burdened

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEADLINE = 600
NAME = "trained"


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The namespace of the deployment, when it has come to its end."""
    directory = tmp_path_factory.mktemp("qat")
    stages = RealStages(cluster, directory)
    burdened(stages.path("models", "burdened.pt2"))
    tiny_dataset(stages.path("data", "tiny.npz"), samples=400)
    found = Kubectl(cluster.kubeconfig, directory).within(f"qat-{uuid4().hex[:6]}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace}})
    operator = stages.operator(cluster, found)
    operator.start()
    try:
        operator.wait_ready()
        found.apply(_deployment())
        wait_for(lambda: _status(found).get("phase") in ("Ready", "Failed"), DEADLINE, "the ladder is climbed")
        yield found
    finally:
        operator.stop()
        found("delete", "namespace", found.namespace, "--wait=false")


def _deployment() -> dict[str, Any]:
    return deployment(
        NAME,
        model={"uri": "file:///models/burdened.pt2"},
        dataset={"calibrationSamples": 64, "evaluationSamples": 160},
        quantization={
            "precisions": ["int4"],
            "maxAccuracyDrop": 0.05,
            "qat": {"epochs": 20, "learningRate": 0.005, "batchSize": 16},
        },
    )


def _status(kubectl: Kubectl) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", "dmsd", NAME).get("status", {})
    return found


def test_every_post_training_rung_misses_the_gate_and_training_passes_it(kubectl: Kubectl) -> None:
    status = _status(kubectl)
    assert status["phase"] == "Ready", status["summary"]
    drops = {variant["name"]: variant["accuracyDrop"] for variant in status["variants"] if variant["name"] != "fp32"}
    trained = drops.pop("int4-qnn-qat")
    assert trained <= 0.02
    assert drops
    assert min(drops.values()) > 0.3


def test_kubectl_shows_the_method_that_won(kubectl: Kubectl) -> None:
    header, row = kubectl("get", "dmsd", NAME, "-o", "wide").splitlines()
    method = header.index("METHOD")
    assert row[method:].split()[0] == "qat"
    assert "int4" in row
    assert "Ready" in row


def test_events_tell_the_missed_gate_and_the_choice(kubectl: Kubectl) -> None:
    found = kubectl.json("get", "events", "--field-selector", f"involvedObject.name={NAME}")["items"]
    messages = {
        reason: [e["message"] for e in found if e["reason"] == reason] for reason in ("GateFailed", "VariantSelected")
    }
    assert any("int4-qnn: lost" in message for message in messages["GateFailed"])
    assert any("qat" in message for message in messages["VariantSelected"])


def test_the_trained_artifact_runs_whole_on_the_npu(kubectl: Kubectl) -> None:
    [target] = _status(kubectl)["targets"]
    assert target["delegation"]["npu"] == target["delegation"]["total"]
    assert target["method"] == "qat"
