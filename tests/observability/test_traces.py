"""One trace across the operator and its real stage pods, as a collector gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import model_fixtures as fixtures
from dms_operator.api.tracing import trace_id
from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for
from observability.collector import Collector

STAGES = {"resolve": "resolve", "quantize": "quantize int8-qnn", "convert": "convert cockpit int8-qnn"}


@dataclass
class Run:
    """A deployment that became Ready, and the spans that came of it."""

    uid: str
    operator: dict[str, Any]
    pods: list[Any]
    log: list[dict[str, Any]]
    pod_log: str


@pytest.fixture(scope="module")
def run(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("traces")
    stages, collector = RealStages(cluster, directory), Collector()
    stages.settings |= {"tracing": {"endpoint": collector.endpoint}, "logFormat": "json"}
    fixtures.tiny_classifier(stages.path("models", "tiny.onnx"))
    fixtures.tiny_dataset(stages.path("data", "tiny.npz"))
    kubectl = Kubectl(cluster.kubeconfig, directory, f"traces-{uuid4().hex[:6]}")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
    operator = stages.operator(cluster, kubectl)
    operator.start("--log-format=json")
    try:
        operator.wait_ready()
        kubectl.apply(deployment("traced"))
        kubectl("wait", "--for=condition=Ready", "dmsd/traced", "--timeout=110s")
        operator.stop()
        wait_for(lambda: f"{kubectl.namespace}/traced" in collector.by_name("dms-operator"), 10, "the root span")
        pod = kubectl("logs", "-l", "dms.edge/stage=resolve", "--tail=-1")
        pods = [span for service, span in collector.spans if service == "dms-stage"]
        uid = kubectl.json("get", "dmsd", "traced")["metadata"]["uid"]
        yield Run(uid, collector.by_name("dms-operator"), pods, _json_lines(operator.log), pod)
    finally:
        operator.stop()
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")
        collector.close()


def _json_lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_operator_and_pods_share_the_trace_of_the_deployments_generation(run: Run) -> None:
    traces = {span.trace_id for span in (*run.operator.values(), *run.pods)}
    assert traces == {trace_id(run.uid, 1).to_bytes(16, "big")}


def test_what_a_pod_does_is_below_its_stages_span_and_that_below_the_deployments(run: Run) -> None:
    [root] = [span for span in run.operator.values() if not span.parent_span_id]
    stages = {span.name: span for span in run.operator.values() if span.parent_span_id}
    assert {span.parent_span_id for span in stages.values()} == {root.span_id}
    runs = {span.name: span for span in run.pods if span.name.startswith("run ")}
    for stage, name in STAGES.items():
        assert any(span.parent_span_id == stages[name].span_id for span in run.pods if span.name == f"run {stage}"), (
            stage,
            sorted(stages),
            sorted(runs),
        )


def test_the_steps_of_a_stage_are_spans_below_it(run: Run) -> None:
    runs = {span.span_id: span for span in run.pods if span.name.startswith("run ")}
    steps = [span for span in run.pods if span.parent_span_id in runs]
    assert {"calibrate", "evaluate"} & {span.name for span in steps}, {span.name for span in steps}


def test_every_line_of_the_operators_log_is_json_and_the_story_has_its_keys(run: Run) -> None:
    story = [line for line in run.log if line.get("reason") == "StageSucceeded"]
    assert {line["stage"] for line in story} >= {"resolve", "quantize", "convert", "benchmark"}
    assert all(line["deployment"].endswith("/traced") for line in story)
    [ready] = [line for line in run.log if line.get("reason") == "Ready"]
    assert ready["revision"]


def test_a_pods_own_log_lines_are_json_too_from_its_beginning_to_its_end(run: Run) -> None:
    marked = ("@progress ", "@result ")
    lines = [json.loads(line) for line in run.pod_log.splitlines() if not line.startswith(marked)]
    assert all(line["stage"] == "resolve" and line["deployment"].endswith("/traced") for line in lines)
    words = [line["message"] for line in lines]
    assert words[0] == "resolve begins" and words[-1].startswith("resolve succeeded after")
