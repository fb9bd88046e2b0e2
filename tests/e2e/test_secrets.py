"""A secret's value shows nowhere: not in objects, events, logs, metrics, traces, artifacts or their papers."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import model_fixtures as fixtures
from artifacts.test_signing import key_pair
from e2e import leaks
from e2e.real_stages import RealStages, deployment
from e2e.running import REPOSITORY, Cluster, Kubectl, wait_for
from observability.collector import Collector

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CANARIES = {kind: f"canary {kind}/{uuid4().hex}=" for kind in ("store", "model", "collector")}
TOKEN = f"canary-token-{uuid4().hex}"
"""In the query of a signed URL, which its author writes into the spec himself."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an HTTP server with one model, which answers whatever the query."""
    folder = tmp_path_factory.mktemp("served")
    fixtures.tiny_classifier(folder / "tiny.onnx")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Run:
    """What is left of deployments that came to good and bad ends with secrets at work."""

    def __init__(self, texts: list[tuple[str, bytes]], secrets: bytes, key: str, phases: dict[str, str]) -> None:
        self.texts, self.secrets, self.key, self.phases = texts, secrets, key, phases


@pytest.fixture(scope="module")
def run(cluster: Cluster, models: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("secrets")
    keys, stages, collector = key_pair(directory / "keys"), RealStages(cluster, directory), Collector()
    fixtures.tiny_classifier(stages.path("models", "tiny.onnx"))
    fixtures.pickle_pt(stages.path("models", "pickle.pt"), directory / "victim")
    fixtures.tiny_dataset(stages.path("data", "tiny.npz"))
    stages.settings |= {
        "signing": {"secret": "dms-signing"},
        "storeSecret": "store",
        "tracing": {"endpoint": collector.endpoint},
        "logFormat": "json",
    }
    kubectl = Kubectl(cluster.kubeconfig, directory, f"secrets-{uuid4().hex[:6]}")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
    _give_secrets(kubectl, keys)
    operator = stages.operator(cluster, kubectl)
    operator.start("--verbose")
    try:
        operator.wait_ready()
        reference = {"secretRef": {"name": "model-store"}}
        bodies = [
            deployment("good", model={"uri": "file:///models/tiny.onnx", **reference}),
            deployment("signed-url", model={"uri": f"{models}/tiny.onnx?token={TOKEN}", **reference}),
            deployment("gone", model={"uri": f"{models}/gone.onnx?token={TOKEN}", **reference}),
            deployment("down", model={"uri": f"http://127.0.0.1:1/tiny.onnx?token={TOKEN}", **reference}),
            deployment("pickle", model={"uri": "file:///models/pickle.pt", **reference}),
            deployment("unsigned", artifacts={"uri": "file:///readonly/store"}),
        ]
        kubectl.apply(*bodies)
        wait_for(
            lambda: all(_phase(kubectl, each) in ("Ready", "Failed") for each in bodies), 400, "all come to an end"
        )
        wait_for(lambda: collector.by_name("dms-stage"), 10, "traces")
        (directory / "reports").mkdir()
        _write_report(cluster, kubectl.namespace, stages, directory / "reports" / "good.html")
        texts = list(leaks.places(kubectl, operator, stages.path("artifacts", ""), directory / "reports"))
        texts += [(f"span {span.name}", str(span).encode()) for _, span in collector.spans]
        key = keys.private.read_text().splitlines()[2] if keys.private else ""
        phases = {each["metadata"]["name"]: _phase(kubectl, each) for each in bodies}
        yield Run(texts, kubectl("get", "secrets", "-o", "json").encode(), key, phases)
    finally:
        operator.stop()
        collector.close()
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def _give_secrets(kubectl: Kubectl, keys: Any) -> None:
    literals = {
        "store": [f"AWS_SECRET_ACCESS_KEY={CANARIES['store']}"],
        "model-store": [
            f"MODEL_PASSWORD={CANARIES['model']}",
            f"OTEL_EXPORTER_OTLP_HEADERS=authorization={CANARIES['collector']}",
        ],
    }
    for name, entries in literals.items():
        kubectl("create", "secret", "generic", name, *(f"--from-literal={entry}" for entry in entries))
    files = [f"--from-file={name}={getattr(keys, name.split('.')[0])}" for name in ("private.pem", "public.pem")]
    kubectl("create", "secret", "generic", "dms-signing", *files)


def _phase(kubectl: Kubectl, body: dict[str, Any]) -> str:
    return str((kubectl.json("get", "dmsd", body["metadata"]["name"]).get("status") or {}).get("phase"))


def _write_report(cluster: Cluster, namespace: str, stages: RealStages, target: Path) -> None:
    command = [sys.executable, "-m", "dms_operator.cli.main", "report", "good", "-n", namespace, f"--to={target}"]
    command += [f"--kubeconfig={cluster.kubeconfig}", f"--store=file://{stages.path('artifacts', '')}"]
    environment = {"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(REPOSITORY / "operator")}
    environment["DMS_FILE_ROOTS"] = str(stages.directory)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_deployments_of_every_end_were_looked_at(run: Run) -> None:
    assert run.phases == {
        "good": "Ready",
        "signed-url": "Ready",
        "gone": "Failed",
        "down": "Failed",
        "pickle": "Failed",
        "unsigned": "Failed",
    }
    kinds = {place.partition("/")[0].partition(" ")[0] for place, _ in run.texts}
    assert kinds >= {"dmsmodeldeployments", "jobs", "pods", "events", "log", "the", "span", "artifacts", "reports"}


@pytest.mark.parametrize("kind", CANARIES)
def test_the_value_of_a_secret_shows_nowhere(kind: str, run: Run) -> None:
    assert leaks.found(CANARIES[kind], run.texts) == []


def test_the_signing_key_shows_nowhere(run: Run) -> None:
    assert len(run.key) > 40
    assert leaks.found(run.key, run.texts) == []


def test_the_token_of_a_signed_url_stays_in_the_spec_and_in_the_request_made_of_it(run: Run) -> None:
    everywhere = leaks.found(TOKEN, run.texts)
    assert any(place.startswith("jobs/") for place in everywhere), "it has to reach the pod that fetches"
    assert leaks.found(TOKEN, leaks.without_uris(run.texts)) == []


@pytest.mark.parametrize("kind", CANARIES)
def test_this_search_does_find_them_in_the_secrets_themselves(kind: str, run: Run) -> None:
    assert leaks.found(CANARIES[kind], [("secrets", run.secrets)]) == ["secrets"]
