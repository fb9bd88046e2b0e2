"""The real stages: a deployment that goes takes its artifacts along when asked, and none that another one uses."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import model_fixtures as fixtures
from dms_operator.artifacts.store import Store, open_store
from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for

ASK = "dms.edge/delete-artifacts=true"
FINALIZER = "dms.edge/operator"


class Scene:
    """A namespace with an operator, and a store that this test sees."""

    def __init__(self, kubectl: Kubectl, directory: Path) -> None:
        self.kubectl = kubectl
        self.directory = directory

    @property
    def store(self) -> Store:
        return open_store(f"file://{self.directory}", roots=(self.directory,))

    def files(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def start(self, *names: str, **spec: Any) -> None:
        bodies = [deployment(name, **spec) for name in names]
        self.kubectl.apply(*bodies)

    def ready(self, name: str) -> dict[str, Any]:
        wait_for(lambda: self.status(name).get("phase") in ("Ready", "Failed"), 240, f"{name} came to an end")
        status = self.status(name)
        assert status["phase"] == "Ready", status["summary"]
        return status

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kubectl.json("get", "dmsd", name).get("status") or {}
        return found

    def ask(self, name: str) -> None:
        self.kubectl("annotate", "dmsd", name, ASK)
        wait_for(lambda: FINALIZER in self.finalizers(name), 30, "the finalizer is on")

    def finalizers(self, name: str) -> list[str]:
        found: list[str] = self.kubectl.json("get", "dmsd", name)["metadata"].get("finalizers", [])
        return found

    def messages(self, name: str) -> list[str]:
        events = self.kubectl.json("get", "events")["items"]
        about = [event for event in events if event["involvedObject"]["name"] == name]
        return [event["message"] for event in about if event["reason"] == "CleanedUp"]


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("removal")
    stages = RealStages(cluster, directory)
    fixtures.tiny_classifier(stages.path("models", "tiny.onnx"))
    fixtures.tiny_dataset(stages.path("data", "tiny.npz"))
    kubectl = Kubectl(cluster.kubeconfig, directory).within(f"removal-{uuid4().hex[:6]}")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
    operator = stages.operator(cluster, kubectl)
    operator.start()
    try:
        operator.wait_ready()
        yield Scene(kubectl, stages.path("artifacts", ""))
    finally:
        operator.stop()
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    yield running
    for path in running.directory.iterdir():
        shutil.rmtree(path)


def digests(status: dict[str, Any]) -> set[str]:
    candidates = [candidate for target in status["targets"] for candidate in target["candidates"]]
    made = [status["model"], *status["variants"], *(candidate["compiled"] for candidate in candidates)]
    return {each["artifact"]["digest"] for each in [*made, *(candidate["benchmark"] for candidate in candidates)]}


@pytest.mark.slow
def test_artifacts_go_with_the_deployment_that_asks_for_it_and_with_no_other(scene: Scene) -> None:
    scene.start("silent")
    made = digests(scene.ready("silent"))
    assert scene.finalizers("silent") == []
    scene.kubectl("delete", "dmsd", "silent", "--timeout=60s")
    assert all(scene.store.is_complete(digest) for digest in made)
    scene.start("asks")
    assert digests(scene.ready("asks")) == made
    scene.ask("asks")
    scene.kubectl("delete", "dmsd", "asks", "--timeout=90s")
    assert scene.files() == []
    assert any(message.startswith(f"{len(made)} artifacts removed") for message in scene.messages("asks"))


def test_what_two_deployments_share_stays_until_the_second_goes(scene: Scene) -> None:
    scene.start("first")
    scene.start("second", quantization={"precisions": ["fp16"]})
    first, second = digests(scene.ready("first")), digests(scene.ready("second"))
    assert first & second and first - second
    for name in ("first", "second"):
        scene.ask(name)
    scene.kubectl("delete", "dmsd", "first", "--cascade=foreground", "--timeout=90s")
    assert all(scene.store.is_complete(digest) for digest in second)
    blobs = {f"sha256:{path.name}" for path in scene.files() if path.parent.name == "sha256"}
    assert not blobs & (first - second)
    assert any(f"; {len(first & second)} stay" in message for message in scene.messages("first"))
    scene.kubectl("delete", "dmsd", "second", "--timeout=90s")
    assert scene.files() == []
    stages = {job["metadata"]["labels"]["dms.edge/stage"] for job in scene.kubectl.json("get", "jobs")["items"]}
    assert stages <= {"remove"}
