"""From nothing to Ready: what one target asks for, in order, and what status says on the way."""

import os
import subprocess
import sys
from pathlib import Path

from controller.builders import COCKPIT, ENTRY, Script, failure, world

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "operator")}


def test_a_new_deployment_starts_with_resolve_alone() -> None:
    new = world()
    plan = new.reconcile()
    assert [job["metadata"]["labels"]["dms.edge/stage"] for job in plan.create] == ["resolve"]
    assert new.status["phase"] == "Pending"
    assert new.condition("Ready")["status"] == "False"
    assert new.condition("Reconciling")["status"] == "True"


def test_one_int8_target_goes_from_nothing_to_ready() -> None:
    done = world(COCKPIT).run()
    assert done.stages() == [
        "resolve: Succeeded",
        "quantize fp32: Succeeded",
        "quantize int8-qnn: Succeeded",
        "convert cockpit int8-qnn: Succeeded",
        "benchmark cockpit int8-qnn: Succeeded",
    ]
    assert done.status["phase"] == "Ready"
    assert done.condition("Ready")["status"] == "True"
    assert "Stalled" not in done.conditions
    assert done.status["summary"] == {
        "precision": "int8",
        "method": "static",
        "p99": "0.43 ms simulated",
        "drop": "0.4 points",
        "provenance": "simulated",
        "targets": "1/1",
        "message": "1/1 targets ready",
    }


def test_a_failed_target_does_not_harm_the_other() -> None:
    script = Script(failures={"convert-tda4vm": failure(message="TIDL tools are not installed: set TIDL_TOOLS_PATH")})
    done = world(COCKPIT, ENTRY, script=script).run()
    assert [target["state"] for target in done.status["targets"]] == ["Ready", "Failed"]
    assert done.status["phase"] == "Failed"
    stalled = done.condition("Stalled")
    assert stalled["reason"] == "SomeTargetsFailed"
    assert stalled["message"] == "1/2 targets ready; entry: TIDL tools are not installed: set TIDL_TOOLS_PATH"
    assert done.status["targets"][0]["artifact"]["uri"].startswith("file:///artifacts/blobs/sha256/")


def test_the_planner_needs_neither_a_cluster_client_nor_the_pipeline() -> None:
    """Imports of the planner, seen in an interpreter of its own."""
    heavy = ["kubernetes", "kopf", "aiohttp", "numpy", "onnx", "torch", "fsspec"]
    code = f"import sys, dms_operator.controller.plan; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert shown.stdout.strip() == "[]"
