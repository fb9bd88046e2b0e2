"""Bad input ends in one clear message in status and on `kubectl get`; a good deployment beside it is not harmed."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import model_fixtures as fixtures
from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for

DEADLINE = 240


@dataclass(frozen=True)
class Case:
    """A deployment that cannot work: what is wrong with it, and what the user must be told."""

    name: str
    reason: str
    says: str
    spec: dict[str, Any] = field(default_factory=dict)


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"model": {"uri": f"file:///models/{name}", **more}}


def dataset(name: str) -> dict[str, Any]:
    return {"dataset": {"uri": f"file:///data/{name}"}}


OTHER_INPUT = [{"name": "frames", "shape": [1, 3, 32, 32]}]
CASES = [
    Case("missing-file", "SourceNotFound", "no-such.onnx", model("no-such.onnx")),
    Case("other-bytes", "DigestMismatch", "sha256", model("tiny.onnx", sha256="0" * 64)),
    Case("truncated", "ModelInvalid", "ONNX", model("truncated.onnx")),
    Case("pickle", "ModelInvalid", "torch.export.save", model("pickle.pt")),
    Case("wrong-shape", "ModelShapeMismatch", "frames", model("tiny.onnx", inputs=OTHER_INPUT)),
    Case("dynamic-axes", "ModelShapeMismatch", "batch", model("dynamic.onnx")),
    Case("nan-weight", "ModelInvalid", "NaN", model("nan.onnx")),
    Case("refused-op", "UnsupportedOperators", "Erf", model("erf.onnx")),
    Case("no-labels", "DatasetInvalid", "labels", dataset("no-labels.npz")),
    Case("other-shapes", "DatasetInvalid", "shape", dataset("other-shape.npz")),
    Case("empty", "DatasetInvalid", "is empty", dataset("empty.npz")),
    Case("dataset-nan", "DatasetInvalid", "NaN", dataset("nan.npz")),
    Case("climbs-out", "SourceRefused", "'..'", {"model": {"uri": "file:///models/../etc/passwd"}}),
    Case("outside", "SourceRefused", "allowed directories", {"model": {"uri": "file:///etc/passwd"}}),
    Case("read-only", "StoreUnwritable", "read-only", {"artifacts": {"uri": "file:///readonly/store"}}),
]


def write_files(stages: RealStages) -> None:
    def models(name: str) -> Path:
        return stages.path("models", name)

    def data(name: str) -> Path:
        return stages.path("data", name)

    fixtures.tiny_classifier(models("tiny.onnx"))
    fixtures.truncated(models("truncated.onnx"))
    fixtures.pickle_pt(models("pickle.pt"), stages.directory / "victim")
    fixtures.with_dynamic_axes(models("dynamic.onnx"))
    fixtures.with_nan_weight(models("nan.onnx"))
    fixtures.with_unsupported_op(models("erf.onnx"))
    fixtures.tiny_dataset(data("tiny.npz"))
    fixtures.dataset_without_labels(data("no-labels.npz"))
    fixtures.dataset_of_other_shape(data("other-shape.npz"))
    fixtures.empty_dataset(data("empty.npz"))
    fixtures.dataset_with_nan(data("nan.npz"))


class Outcome:
    """All deployments of this module after they came to an end, as the API shows them."""

    def __init__(self, kubectl: Kubectl, victim: Path) -> None:
        self.kubectl = kubectl
        self.victim = victim

    def body(self, name: str) -> dict[str, Any]:
        body: dict[str, Any] = self.kubectl.json("get", "dmsd", name)
        return body


@pytest.fixture(scope="module")
def outcome(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    directory = tmp_path_factory.mktemp("bad-input")
    stages = RealStages(cluster, directory)
    write_files(stages)
    kubectl = Kubectl(cluster.kubeconfig, directory).within(f"bad-input-{uuid4().hex[:6]}")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
    operator = stages.operator(cluster, kubectl)
    operator.start()
    try:
        operator.wait_ready()
        bodies = [deployment(case.name, **case.spec) for case in CASES]
        kubectl.apply(deployment("good"), *bodies)
        wait_for(lambda: all_ended(kubectl), DEADLINE, "every deployment is Ready or Failed")
        yield Outcome(kubectl, stages.directory / "victim")
    finally:
        operator.stop()
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def all_ended(kubectl: Kubectl) -> bool:
    items = kubectl.json("get", "dmsd")["items"]
    return all(item.get("status", {}).get("phase") in ("Ready", "Failed") for item in items)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_deployment_fails_with_one_message_that_names_what_is_wrong(outcome: Outcome, case: Case) -> None:
    status = outcome.body(case.name)["status"]
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    assert status["phase"] == "Failed"
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Stalled"]["status"] == "True"
    assert "Reconciling" not in conditions
    assert case.says in conditions["Ready"]["message"]
    assert case.reason in {condition["reason"] for condition in status["conditions"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kubectl_get_shows_the_message(outcome: Outcome, case: Case) -> None:
    assert case.says in outcome.kubectl("get", "dmsd", case.name, "-o", "wide")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_tried_again(outcome: Outcome, case: Case) -> None:
    failed = [stage for stage in outcome.body(case.name)["status"]["stages"] if stage["state"] == "Failed"]
    assert [stage.get("attempts", 0) <= 1 for stage in failed] == [True]


def test_no_pod_runs_for_a_deployment_that_failed(outcome: Outcome) -> None:
    before = {pod["metadata"]["uid"] for pod in outcome.kubectl.json("get", "pods")["items"]}
    time.sleep(2)
    pods = outcome.kubectl.json("get", "pods")["items"]
    assert {pod["metadata"]["uid"] for pod in pods} == before
    assert {pod["status"]["phase"] for pod in pods} <= {"Succeeded", "Failed"}


def test_the_pickle_was_never_unpickled(outcome: Outcome) -> None:
    assert not outcome.victim.exists()


def test_the_good_deployment_beside_them_is_ready(outcome: Outcome) -> None:
    status = outcome.body("good")["status"]
    assert (status["phase"], status["summary"]["targets"]) == ("Ready", "1/1")


ADMISSION = [
    ("unknown-field", {"typo": 1}, 'unknown field "spec.typo"'),
    ("unknown-board", {"targets": [{"name": "a", "board": "jetson"}]}, 'Unsupported value: "jetson"'),
    ("unknown-scheme", {"model": {"uri": "ftp://models/net.onnx"}}, "spec.model.uri"),
    (
        "int4-on-tda4vm",
        {"targets": [{"name": "a", "board": "tda4vm", "precisions": ["int4"]}]},
        "TIDL on TDA4VM has no int4; use int8",
    ),
    ("same-name", {"targets": [{"name": "a", "board": "qcs8255"}] * 2}, "Duplicate value"),
    ("no-unit", {"benchmark": {"latencyBudget": 50}}, "needs a number with a unit (ns, us, ms, s, m, h), such as 50ms"),
    ("no-power-unit", {"benchmark": {"powerBudget": "800"}}, "such as 800mW"),
]


@pytest.mark.parametrize(("name", "spec", "message"), ADMISSION, ids=[case[0] for case in ADMISSION])
def test_the_api_refuses_it_at_apply_and_stores_nothing(
    kubectl: Kubectl, name: str, spec: dict[str, Any], message: str
) -> None:
    refused = kubectl.run("apply", "-f", "-", stdin=json.dumps(deployment(name, **spec)))
    assert refused.returncode == 1
    assert message in refused.stderr
    assert kubectl.json("get", "dmsd")["items"] == []
