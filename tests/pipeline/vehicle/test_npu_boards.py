"""A model for an NPU never runs on the CPU of a machine without one, whatever lies on its disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dms_operator.pipeline.golden import GOLDEN, Golden
from pipeline.stages import refused, succeeded
from pipeline.vehicle.disk import Release, Vehicle
from pipeline.vehicle.releases import Factory, net


@pytest.fixture(scope="module")
def for_htp(factory: Factory) -> Release:
    """A real SA8255 context binary, benchmarked on the simulator."""
    return factory.release("8" * 12, net(factory.root / "8.onnx", 0), "qcs8255", "qnn")


def test_golden_outputs_of_a_simulated_benchmark_are_the_simulators(factory: Factory, for_htp: Release) -> None:
    golden = Golden.load(factory.files(for_htp.benchmark)[GOLDEN])
    assert (golden.provenance, golden.compiled) == ("simulated", for_htp.compiled)
    tolerance = golden.tolerances["logits"]
    assert tolerance.limit > 0 and tolerance.source in (
        "largest deviation from the fp32 reference on 8 samples, simulated",
        "one quantization step of the output",
    )


def test_a_machine_without_the_htp_is_refused_before_anything_is_switched(running: Vehicle, for_htp: Release) -> None:
    succeeded(running.prefetch(for_htp))
    current = running.current
    message = refused(running.activate(for_htp), "WrongTarget")
    assert "this node is no qcs8255, or its runtime does not find the compute unit of toolchain qnn" in message
    assert running.current == current


def test_an_artifact_is_not_loaded_as_what_it_is_not(running: Vehicle, for_htp: Release, own_board: str) -> None:
    """The release says that a CPU may run it; its manifest knows better."""
    disguised = replace(for_htp, board=own_board, toolchain="onnxruntime")
    succeeded(running.prefetch(disguised))
    assert "was made for qcs8255 by qnn" in refused(running.activate(disguised), "WrongTarget")


def test_the_cpu_baseline_of_an_npu_board_is_not_for_vehicles(factory: Factory, running: Vehicle) -> None:
    baseline = factory.release("7" * 12, net(factory.root / "7.onnx", 0), "qcs8255", "onnxruntime")
    golden = Golden.load(factory.files(baseline.benchmark)[GOLDEN])
    assert golden.provenance == "host"
    succeeded(running.prefetch(baseline))
    refused(running.activate(baseline), "WrongTarget")


def test_an_estimate_is_never_activated(factory: Factory, running: Vehicle) -> None:
    estimate = factory.release("6" * 12, net(factory.root / "6.onnx", 0), "tda4vm", "tidl", {"estimate-only": "true"})
    succeeded(running.prefetch(estimate))
    message = refused(running.activate(estimate), "NotDeployable")
    assert "Convert with the vendor's tools" in message
