"""Dynamic quantization of recurrent heads, end to end: a host baseline that says it is not for NPUs."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from driver_monitor.dataset import write_dataset
from driver_monitor.recurrent import Cell
from driver_monitor.train import render_clips
from e2e.real_stages import RealStages, deployment
from e2e.running import Cluster, Kubectl, wait_for
from model_fixtures.recurrent_models import recurrent_net

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DEADLINE = 1200
CELLS: tuple[Cell, ...] = ("gru", "lstm")


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The namespace of both deployments, when they have come to their end."""
    directory = tmp_path_factory.mktemp("dynamic")
    stages = RealStages(cluster, directory)
    clips = render_clips(360, seed=5)
    for cell in CELLS:
        recurrent_net(stages.path("models", f"{cell}.onnx"), cell, clips)
    write_dataset(stages.path("data", "clips.npz"), samples=140, seed=7)
    found = Kubectl(cluster.kubeconfig, directory).within(f"dynamic-{uuid4().hex[:6]}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace}})
    if cluster.control is not None:
        found("label", "node", "build-1", "dms.edge/board=generic-x86", "--overwrite")
    operator = stages.operator(cluster, found)
    operator.start()
    try:
        operator.wait_ready()
        for cell in CELLS:
            found.apply(_deployment(cell))
        for cell in CELLS:
            wait_for(partial(_ended, found, cell), DEADLINE, f"{cell} ends")
        yield found
    finally:
        operator.stop()
        found("delete", "namespace", found.namespace, "--wait=false")
        if cluster.control is not None:
            found("label", "node", "build-1", "dms.edge/board-")


def _deployment(cell: str, **target: Any) -> dict[str, Any]:
    return deployment(
        cell,
        model={"uri": f"file:///models/{cell}.onnx"},
        dataset={"uri": "file:///data/clips.npz", "calibrationSamples": 16, "evaluationSamples": 120},
        # 120 clips without a loss prove a drop of at most 0.025
        quantization={"precisions": ["int8"], "method": "dynamic", "maxAccuracyDrop": 0.05},
        targets=[{"name": "lab", "board": "generic-x86"} | target],
        benchmark={"latencyBudget": "10s"},  # this machine may have other work, and its time is not the point here
    )


def _ended(kubectl: Kubectl, cell: str) -> bool:
    return _status(kubectl, cell).get("phase") in ("Ready", "Failed")


def _status(kubectl: Kubectl, cell: str) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.json("get", "dmsd", cell).get("status", {})
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_a_recurrent_head_passes_and_the_variant_is_marked_as_not_for_npus(kubectl: Kubectl, cell: str) -> None:
    status = _status(kubectl, cell)
    [candidate] = status["targets"][0]["candidates"]
    # whether a run beside other work was noisy is not the point here
    missed = [gate for gate in candidate["gates"] if gate["outcome"] == "Fail" or gate["name"] == "accuracy"]
    assert [(gate["name"], gate["outcome"]) for gate in missed] == [("accuracy", "Pass")]
    [variant] = [each for each in status["variants"] if each["name"] == "int8-onnxruntime-dynamic"]
    assert variant["scheme"] == "w8 dynamic"
    assert "runs on CPUs only: NPUs do not take dynamic quantization" in variant["notes"]
    assert variant["accuracyDrop"] <= 0.01
    [reference] = [each for each in status["variants"] if each["name"] == "fp32"]
    assert variant["sizeBytes"] < 0.3 * reference["sizeBytes"]
    assert variant["method"] == "dynamic"


def test_an_npu_board_is_refused_at_apply(kubectl: Kubectl) -> None:
    refused = kubectl.run("apply", "-f", "-", stdin=json.dumps(_deployment("npu", board="qcs8255")))
    assert refused.returncode == 1
    assert "dynamic quantization does not run on an NPU" in refused.stderr
