"""A real Prometheus that scrapes a real operator, whose deployments are in every state that a dashboard shows."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from e2e.conftest import FakeStages, cluster, install
from e2e.fleet import BOARD, settings
from e2e.running import (
    REPOSITORY,
    Cluster,
    Kubectl,
    OperatorProcess,
    end,
    free_port,
    start_dev_cluster,
    wait_for,
)
from tools import get_prometheus

__all__ = ["cluster"]
GONE = "gone"
"""A deployment that was rolled out, and deleted."""
_PATIENCE = "--timeout=60s"
RULES = REPOSITORY / "helm" / "dms-operator" / "files" / "rules" / "dms-operator.yaml"
MEASURED = {
    "power": "0.8W",
    "throughput": 80.0,
    "latencies": [
        {
            "provenance": "measured",
            "p50": "12ms",
            "p90": "13ms",
            "p99": "14ms",
            "bound": "15ms",
            "source": "fake board",
        },
        {"provenance": "host", "p50": "30ms", "p99": "33ms", "bound": "34ms", "source": "fake host"},
    ],
}


class Prometheus:
    """A server that scrapes one operator every second."""

    def __init__(self, directory: Path, target: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            # as the chart's ServiceMonitor does: the operator's own `namespace` label must win
            "scrape_configs": [
                {"job_name": "any", "honor_labels": True, "static_configs": [{"targets": [target]}]},
            ],
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        command: list[str | Path] = [
            get_prometheus.program("prometheus"),
            f"--config.file={directory / 'prometheus.yml'}",
        ]
        command += [f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={self.url[7:]}"]
        with (directory / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def get(self, path: str, **parameters: str) -> Any:
        """An answer of its HTTP API. Raises OSError."""
        query = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(query, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Series of an instant query, of now or of another time."""
        when = {} if at is None else {"time": f"{at:.3f}"}
        result: list[dict[str, Any]] = self.get("query", query=expression, **when)["result"]
        return result

    def scrapes(self) -> bool:
        try:
            return bool(self.query("up == 1"))
        except OSError:
            return False


def deployment_of(namespace: str, name: str, **changes: Any) -> dict[str, Any]:
    spec = {
        "model": {"uri": f"file:///models/{namespace}/{name}.onnx"},
        "dataset": {"uri": "file:///data/dms.npz"},
        "targets": [{"name": "cockpit", "board": BOARD}],
        "artifacts": {"uri": "file:///artifacts"},
        **changes,
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "dms.edge/v1alpha1", "kind": "DMSModelDeployment", "metadata": metadata, "spec": spec}


class Scene:
    """What the dashboards look at."""

    def __init__(self, kubectl: Kubectl, operator: OperatorProcess, prometheus: Prometheus) -> None:
        self.kubectl, self.operator, self.prometheus = kubectl, operator, prometheus
        self.at = time.time()
        """When everything had just happened: rates of a few seconds have something to tell."""


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One deployment ready, one too slow, one that converts, one that holds the board, one suspended.

    One is rolled out as far as its approval, one was taken back, one was deleted. In a cluster of its own: nobody else
    should wait for that board.
    """
    directory = tmp_path_factory.mktemp("observability")
    process, cluster = start_dev_cluster(directory, vehicles=dict.fromkeys(("car-1", "car-2"), BOARD))
    try:
        install(cluster, directory)
        yield from _scene(cluster, directory)
    finally:
        end(process)


def _scene(cluster: Cluster, directory: Path) -> Iterator[Scene]:
    assert cluster.control is not None
    namespace = f"seen-{uuid4().hex[:6]}"
    kubectl = Kubectl(cluster.kubeconfig, directory, namespace)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    stages = FakeStages(cluster.control, namespace)
    hold = {"hold": f"{namespace}-never"}
    stages.behave(
        ready__benchmark={"facts": MEASURED},
        flaky__benchmark={"crash": 1, "facts": MEASURED},
        slow__benchmark={"facts": MEASURED},
        converting__convert=hold,
        benching__benchmark=hold,
    )
    vehicles = directory / "vehicles"
    vehicles.mkdir()
    operator = OperatorProcess(cluster.kubeconfig, settings(vehicles), directory, [namespace])
    operator.start()
    operator.wait_ready()
    prometheus = Prometheus(directory, operator.url.removeprefix("http://"))
    try:
        wait_for(prometheus.scrapes, 30, "Prometheus scrapes the operator")
        _play(kubectl, prometheus, namespace)
        yield Scene(kubectl, operator, prometheus)
    finally:
        end(prometheus.process)
        operator.stop()


def _play(kubectl: Kubectl, prometheus: Prometheus, namespace: str) -> None:
    """One after the other, so that counters exist before they grow: a rate is blind to the first step."""
    for name in ("ready", "flaky"):
        kubectl.apply(deployment_of(namespace, name))
        kubectl("wait", "--for=condition=Ready", f"dmsd/{name}", _PATIENCE)
    rollout = {"waves": [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]}
    kubectl.apply(*(deployment_of(namespace, name, rollout=rollout) for name in ("rolling", "aborted", GONE)))
    waiting = 'sum(dms_rollout_paused{reason="ApprovalRequired"}) == 3'
    wait_for(lambda: prometheus.query(waiting), 60, "all rollouts wait for their second wave's approval")
    revision = kubectl.json("get", "dmsd", "aborted")["status"]["rollout"]["revision"]
    kubectl("delete", "dmsd", GONE, _PATIENCE)
    kubectl("annotate", "dmsd", "aborted", f"dms.edge/abort={revision}")
    kubectl.apply(deployment_of(namespace, "slow", benchmark={"latencyBudget": "1ms"}))
    kubectl.apply(deployment_of(namespace, "parked", suspend=True))
    kubectl.apply(deployment_of(namespace, "converting"))
    kubectl.apply(deployment_of(namespace, "benching"))
    shown = {
        'dms_deployment_phase{deployment="slow", phase="Failed"} == 1',
        'dms_deployment_phase{deployment="parked", phase="Suspended"} == 1',
        'dms_stage_started_timestamp_seconds{deployment="converting", stage="convert"} > 0',
        'dms_stage_active{deployment="benching", stage="benchmark", state="Running"} > 0',
        'dms_rollout_paused{deployment="rolling", reason="ApprovalRequired"} == 1',
        'dms_rollout_rolled_back{deployment="aborted"} == 1',
    }
    wait_for(lambda: all(prometheus.query(one) for one in shown), 60, "Prometheus has seen every deployment's state")
    time.sleep(2)  # two more scrapes
