"""The OSRT route against TI's provider, faked as documented, in a process of its own."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from dms_operator.api.errors import UnsupportedOperators
from dms_operator.toolchains.tidl import Tidl
from dms_operator.toolchains.tidl.predict import predict
from dms_operator.toolchains.tidl.process import CHILD
from dms_operator.toolchains.tidl.samples import CALIBRATION_FILE, save_samples
from model_fixtures import tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples

pytestmark = pytest.mark.usefixtures("ti_tools")
Mode = Callable[[str], None]


def test_a_power_of_two_qdq_model_compiles_whole(powers_qdq: Path, workdir: Path) -> None:
    compiled = Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert (compiled.facts.delegation.npu, compiled.facts.delegation.total) == (7, 7)
    assert (compiled.facts.soc, compiled.facts.architecture) == ("J721E", "C7x/MMA")
    assert "onnxruntime_tidl 1.15.0" in compiled.facts.tool_version
    assert compiled.facts.size_bytes == compiled.files["subgraph_0_tidl_net.bin"].stat().st_size == 300


def test_everything_that_a_board_needs_is_collected_and_nothing_else_stays(powers_qdq: Path, workdir: Path) -> None:
    compiled = Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    needed = {"model.onnx", "subgraph_0_tidl_net.bin", "subgraph_0_tidl_io_1.bin", "allowedNode.txt", "manifest.json"}
    assert needed < set(compiled.files)
    assert {"runtimes_visualization.svg", "subgraph_0_tidl_net.bin.layer_info.txt"} < set(compiled.files)
    assert {path.name for path in workdir.iterdir()} == set(compiled.files)
    manifest = json.loads(compiled.files["manifest.json"].read_text())
    assert manifest["deployable"] is True and manifest["prequantized"] is True and manifest["subgraphs"] == 1


def test_a_float_model_is_calibrated_with_the_samples_beside_it(tmp_path: Path, workdir: Path) -> None:
    model = tiny_classifier(tmp_path / "model.onnx")
    save_samples(tmp_path / CALIBRATION_FILE, samples(6))
    reports: list[tuple[str, int, int]] = []
    options = {"calibration-frames": "4"}
    compiled = Tidl().convert(model, "tda4vm", options, workdir, lambda *report: reports.append(report))
    assert [report for report in reports if report[0] == "calibrate"] == [("calibrate", n, 4) for n in range(4)]
    assert json.loads(compiled.files["manifest.json"].read_text())["prequantized"] is False


def test_fewer_samples_than_frames_still_complete_the_import(tmp_path: Path, workdir: Path) -> None:
    model = tiny_classifier(tmp_path / "model.onnx")
    save_samples(tmp_path / CALIBRATION_FILE, samples(3))
    assert "subgraph_0_tidl_net.bin" in Tidl().convert(model, "tda4vm", {}, workdir, silent).files


def test_every_option_reaches_tis_provider_under_its_own_name(tmp_path: Path, workdir: Path) -> None:
    model = tiny_classifier(tmp_path / "model.onnx")
    save_samples(tmp_path / CALIBRATION_FILE, samples(3))
    options = {
        "accuracy-level": "9",
        "channel-wise-quantization": "1",
        "quantization-scale-type": "0",
        "output-16bit-names": "conv1_out,logits",
        "high-resolution": "1",
        "max-subgraphs": "4",
        "max-subgraph-nodes": "100",
        "debug-level": "1",
        "allow-layer-names": "conv1",
    }
    assert Tidl().convert(model, "tda4vm", options, workdir, silent).facts.delegation.npu == 7


def test_nodes_that_tis_tools_leave_to_the_arm_cores_fail_by_name(
    powers_qdq: Path, workdir: Path, ti_tools: Mode
) -> None:
    ti_tools("unsupported:GlobalAveragePool")
    with pytest.raises(UnsupportedOperators, match=r"1 of 7 nodes do not run.*pool \(GlobalAveragePool: TI's tools"):
        Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    assert not list(workdir.iterdir())


def test_allowed_arm_cores_are_counted(powers_qdq: Path, workdir: Path, ti_tools: Mode) -> None:
    ti_tools("unsupported:GlobalAveragePool")
    compiled = Tidl().convert(powers_qdq, "tda4vm", {"allow-cpu-fallback": "true"}, workdir, silent)
    assert compiled.facts.delegation.npu == 6
    assert compiled.facts.delegation.left_on_cpu == ["GlobalAveragePool x1"]
    assert {"subgraph_0_tidl_net.bin", "subgraph_1_tidl_net.bin"} < set(compiled.files)


@pytest.mark.parametrize(("share", "accepted"), [("15%", True), ("14%", False), ("0%", False)])
def test_a_share_of_the_nodes_may_be_accepted(
    powers_qdq: Path, workdir: Path, ti_tools: Mode, share: str, accepted: bool
) -> None:
    ti_tools("unsupported:GlobalAveragePool")  # 1 of 7 nodes, 14.3 %
    options = {"allow-cpu-fallback": share}
    if accepted:
        assert Tidl().convert(powers_qdq, "tda4vm", options, workdir, silent).facts.delegation.npu == 6
        return
    with pytest.raises(UnsupportedOperators):
        Tidl().convert(powers_qdq, "tda4vm", options, workdir, silent)


def test_a_deny_list_is_honoured(powers_qdq: Path, workdir: Path) -> None:
    options = {"allow-cpu-fallback": "true", "deny-layer-types": "Gemm"}
    assert Tidl().convert(powers_qdq, "tda4vm", options, workdir, silent).facts.delegation.left_on_cpu == ["Gemm x1"]


def test_the_performance_simulator_gives_a_simulated_latency(powers_qdq: Path, workdir: Path) -> None:
    Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    cost = Tidl().cost(workdir)
    assert cost is not None and (cost.provenance, str(cost.p50)) == ("simulated", "0.812ms")
    assert "2.76 MB" in cost.notes


def test_without_the_simulator_the_latency_is_an_estimate(powers_qdq: Path, workdir: Path) -> None:
    Tidl().convert(powers_qdq, "tda4vm", {"perfsim": "false"}, workdir, silent)
    cost = Tidl().cost(workdir)
    assert cost is not None and cost.provenance == "estimated"


def test_pc_emulation_gives_the_outputs_of_the_compiled_model(powers_qdq: Path, workdir: Path) -> None:
    Tidl().convert(powers_qdq, "tda4vm", {}, workdir, silent)
    inputs = samples(2)
    outputs = Tidl().simulate(workdir, inputs, workdir, silent)
    expected = predict(onnx.load(powers_qdq), inputs, silent)
    assert outputs is not None
    for found, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(found["logits"], wanted["logits"], atol=1e-6)


def test_tis_python_can_read_the_child() -> None:
    tree = ast.parse(CHILD.read_text(), feature_version=(3, 10))
    modules = {name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names}
    modules |= {str(each.module) for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    known = {"ctypes", "json", "os", "signal", "sys", "collections.abc", "pathlib", "typing", "numpy", "onnxruntime"}
    assert modules == known  # TI's Python has nothing else
