"""Fixtures of the end-to-end tests. DMS_E2E_KUBECONFIG names an existing cluster to use instead of a dev cluster."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from e2e import running
from e2e.audit import asked, granted
from e2e.running import FAKE_IMAGE, REPOSITORY, Cluster, Kubectl, OperatorProcess

StartOperator = Callable[..., OperatorProcess]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is an end-to-end test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, with the custom resource definition installed."""
    directory = tmp_path_factory.mktemp("cluster")
    existing = os.environ.get("DMS_E2E_KUBECONFIG")
    if existing:
        found = Cluster(Path(existing), None)
        install(found, directory)
        yield found
        return
    process, found = running.start_dev_cluster(directory)
    try:
        install(found, directory)
        yield found
        beyond = asked(found) - granted("watched", "cluster", "default", "own")
        assert not beyond, f"controller/permissions.py lacks {sorted(beyond)}"
    finally:
        running.end(process)


def install(cluster: Cluster, scratch: Path) -> None:
    """Put the custom resource definition into a cluster."""
    kubectl = Kubectl(cluster.kubeconfig, scratch)
    kubectl("apply", "-f", str(REPOSITORY / "crds"))
    kubectl("wait", "--for=condition=Established", "crd/dmsmodeldeployments.dms.edge", "--timeout=60s")


@pytest.fixture
def kubectl(cluster: Cluster, tmp_path: Path) -> Iterator[Kubectl]:
    """The real kubectl, in a namespace of the test's own that is deleted afterwards."""
    namespace = f"e2e-{uuid4().hex[:8]}"
    admin = Kubectl(cluster.kubeconfig, tmp_path)
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    yield admin.within(namespace)
    admin("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """`wait_for(predicate, deadline)` polls until the predicate is truthy, and gives its value."""
    return running.wait_for


@pytest.fixture
def operator_process(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> Iterator[StartOperator]:
    """`operator_process(settings, namespaces=...)` starts an operator; all are stopped afterwards.

    Without namespaces it serves the test's own only.
    """
    started: list[OperatorProcess] = []

    def start(settings: dict[str, Any], namespaces: list[str] | None = None) -> OperatorProcess:
        directory = tmp_path / f"operator-{len(started)}"
        directory.mkdir()
        scope = [kubectl.namespace] if namespaces is None else namespaces
        process = OperatorProcess(cluster.kubeconfig, settings, directory, scope)
        started.append(process)
        process.start()
        process.wait_ready()
        return process

    yield start
    for process in started:
        process.stop()


class FakeStages:
    """Steers the fake stages of one test (by names of its deployments), and tells what they did."""

    settings: ClassVar[dict[str, Any]] = {
        "images": {
            "resolve": FAKE_IMAGE,
            "quantize": FAKE_IMAGE,
            "convert": {"qnn": FAKE_IMAGE, "tidl": FAKE_IMAGE},
            "benchmark": {"qnn": FAKE_IMAGE, "tidl": FAKE_IMAGE},
        },
        "imagePullPolicy": "Never",
    }

    def __init__(self, control: Path, namespace: str) -> None:
        self._control = control
        self._namespace = namespace

    def behave(self, **behaviours: dict[str, Any]) -> None:
        """Replace all behaviours; in the keys `__` stands for `/`."""
        table = {key.replace("__", "/"): value for key, value in behaviours.items()}
        unfinished = self._control / "behaviour.tmp"
        unfinished.write_text(json.dumps(table))
        unfinished.rename(self._control / "behaviour.json")

    def release(self, gate: str) -> None:
        """Let stages go on that hold at a gate."""
        (self._control / gate).touch()

    def runs(self, event: str = "start", **fields: str) -> list[dict[str, Any]]:
        """What was recorded for this test, in order."""
        log = self._control / "runs.log"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        mine = [line for line in lines if line["deployment"].startswith(f"{self._namespace}/")]
        return [line for line in mine if event in ("", line["event"]) and fields.items() <= line.items()]


@pytest.fixture
def stages(cluster: Cluster, kubectl: Kubectl) -> Iterator[FakeStages]:
    """Fake stages; only the dev cluster has them."""
    if cluster.control is None:
        pytest.skip("fake stages exist in the dev cluster only")
    fake = FakeStages(cluster.control, kubectl.namespace)
    fake.behave()
    yield fake
    fake.behave()
