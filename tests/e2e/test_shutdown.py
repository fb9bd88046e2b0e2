"""SIGTERM ends the operator by itself, whatever the API server does: code 0, not its watchdog's 1."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.conftest import FakeStages
from e2e.faulty_proxy import FaultyProxy, refusal
from e2e.running import Cluster, Kubectl, OperatorProcess, wait_for
from e2e.test_operator_on_devcluster import deployment


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[FaultyProxy]:
    with FaultyProxy(cluster.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def working(proxy: FaultyProxy, kubectl: Kubectl, stages: FakeStages, tmp_path: Path) -> OperatorProcess:
    """An operator that leads and has a stage running."""
    stages.behave(driver__resolve={"hold": f"{kubectl.namespace}-never"})
    process = OperatorProcess(proxy.kubeconfig, stages.settings, tmp_path, [kubectl.namespace])
    process.start("--leader-elect", f"--leader-namespace={kubectl.namespace}")
    process.wait_ready()
    kubectl.apply(deployment(kubectl))
    wait_for(lambda: stages.runs(stage="resolve"), 60, "a stage runs")
    return process


def test_when_all_is_well(working: OperatorProcess) -> None:
    assert working.stop() == 0


def test_when_the_api_server_hangs(working: OperatorProcess, proxy: FaultyProxy, kubectl: Kubectl) -> None:
    over, asked = threading.Event(), threading.Event()

    def hang(request: object) -> None:
        asked.set()
        over.wait(60)

    proxy.refuse = hang
    assert asked.wait(60), "the lease is renewed every other second"
    kubectl("annotate", "dmsd", "driver", "dms.edge/retry=again")
    try:
        assert working.stop() == 0
    finally:
        over.set()


def test_when_the_api_server_is_gone(working: OperatorProcess, proxy: FaultyProxy) -> None:
    proxy.stop()
    assert working.stop() == 0


def test_when_its_credentials_are_refused(working: OperatorProcess, proxy: FaultyProxy) -> None:
    refused = threading.Event()

    def refuse(request: object) -> object:
        refused.set()
        return refusal(401, "Unauthorized")

    proxy.refuse = refuse  # type: ignore[assignment]
    proxy.cut()
    assert refused.wait(60)
    assert working.stop() == 0


def test_before_the_api_server_has_answered_at_all(stages: FakeStages, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        config = {
            "clusters": [{"name": "silent", "cluster": cluster}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "silent", "context": {"cluster": "silent", "user": "nobody"}}],
            "current-context": "silent",
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        process = OperatorProcess(tmp_path / "kubeconfig", stages.settings, tmp_path, [])
        process.start()
        silent.accept()
        assert process.stop() == 0
