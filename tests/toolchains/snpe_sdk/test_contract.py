"""Whole conversions against tools that accept nothing but what Qualcomm documents."""

import json
from pathlib import Path

import numpy as np
import pytest

from dms_operator.api.errors import DMSError, ToolchainUnavailable, UnsupportedOperators, WrongTarget
from dms_operator.toolchains.registry import toolchain
from dms_operator.toolchains.snpe_sdk import argv
from dms_operator.toolchains.snpe_sdk.board import BoardTools, execute_statistics, layer_times, throughput
from dms_operator.toolchains.snpe_sdk.inputs import INPUT_LIST, write_inputs
from dms_operator.toolchains.snpe_sdk.run import run_tool
from dms_operator.toolchains.snpe_sdk.sdk import find_sdk
from model_fixtures import INPUT_NAME, INPUT_SHAPE, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples
from toolchains.snpe_sdk.fakes import FakeSdk

SNPE = {"generation": "snpe"}


def test_a_quantized_model_goes_through_the_newer_tools_by_default(
    sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    reports: list[tuple[str, int, int]] = []
    compiled = toolchain("snpe-sdk").convert(tiny_qdq, "qcs8255", {}, out, lambda *report: reports.append(report))
    assert sdk.tools == ["qairt-converter", "qairt-quantizer", "qnn-context-binary-generator"]
    assert set(compiled.files) == {"model.dlc", "model.bin", "encodings.json", "manifest.json"}
    assert {path.name for path in out.iterdir()} == set(compiled.files)
    assert (compiled.facts.soc, compiled.facts.architecture) == ("SA8255", "v73")
    assert compiled.facts.tool_version == "QAIRT SDK 2.35.0.250530, qairt tools"
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total == 5
    assert reports == [("convert", done, 3) for done in range(4)]


def test_the_older_tools_run_when_asked_for(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    compiled = toolchain("snpe-sdk").convert(tiny_qdq, "sa8255", SNPE, tmp_path / "out", silent)
    assert sdk.tools == ["snpe-onnx-to-dlc", "snpe-dlc-quant", "snpe-dlc-graph-prepare", "snpe-dlc-info"]
    assert "--htp_archs=v73" in sdk.calls[2] and "--vtcm_override=8" in sdk.calls[2]
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total == 3
    assert not json.loads(compiled.files["manifest.json"].read_text())["bindingReadBack"]


def test_an_sdk_with_the_older_tools_alone_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_qdq: Path
) -> None:
    old = FakeSdk(tmp_path / "old", without=["qairt-converter"])
    monkeypatch.setenv("QAIRT_SDK_ROOT", str(old.root))
    toolchain("snpe-sdk").convert(tiny_qdq, "sa8255", {}, tmp_path / "out", silent)
    assert old.tools[0] == "snpe-onnx-to-dlc"


def test_an_sdk_whose_quantizer_has_the_older_name_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_qdq: Path
) -> None:
    old = FakeSdk(tmp_path / "old", without=["qairt-converter", "snpe-dlc-quant"])
    monkeypatch.setenv("QAIRT_SDK_ROOT", str(old.root))
    toolchain("snpe-sdk").convert(tiny_qdq, "sa8255", {}, tmp_path / "out", silent)
    assert old.tools == ["snpe-onnx-to-dlc", "snpe-dlc-quantize", "snpe-dlc-graph-prepare", "snpe-dlc-info"]


@pytest.mark.parametrize("generation", ["qairt", "snpe"])
def test_a_float_model_becomes_fp16_without_a_quantizer(sdk: FakeSdk, tmp_path: Path, generation: str) -> None:
    model = tiny_classifier(tmp_path / "float.onnx")
    compiled = toolchain("snpe-sdk").convert(model, "sa8255", {"generation": generation}, tmp_path / "out", silent)
    assert "--float_bitwidth" in sdk.calls[0] and not any("quant" in tool for tool in sdk.tools)
    assert "encodings.json" not in compiled.files


def test_the_options_reach_the_tools(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    options = {"vtcm": "4", "graph-optimization": "2", "soc": "SM8550"}
    compiled = toolchain("snpe-sdk").convert(tiny_qdq, "qcs8550", options, tmp_path / "out", silent)
    assert b"soc_type=SM8550;arch=73;vtcm_size=4194304" in compiled.files["model.bin"].read_bytes()
    assert sdk.calls[0][-1] == "SM8550"


def test_a_binary_for_no_soc_is_refused(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    (sdk.root / "generic").touch()
    with pytest.raises(WrongTarget, match="bound to no SoC, wanted SA8255 v73"):
        toolchain("snpe-sdk").convert(tiny_qdq, "sa8255", {}, tmp_path / "out", silent)
    assert list((tmp_path / "out").iterdir()) == []


def test_layers_that_only_the_cpu_takes_are_refused_by_name(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    table = (sdk.root / "dlc_info.txt").read_text()
    (sdk.root / "dlc_info.txt").write_text(table.replace("1x3        | A D G C ", "1x3        | C       "))
    with pytest.raises(UnsupportedOperators, match=r"1 of 3 layers.*head \(FullyConnected\)"):
        toolchain("snpe-sdk").convert(tiny_qdq, "sa8255", SNPE, tmp_path / "out", silent)
    allowed = SNPE | {"allow-cpu-fallback": "40%"}
    compiled = toolchain("snpe-sdk").convert(tiny_qdq, "sa8255", allowed, tmp_path / "out", silent)
    assert compiled.facts.delegation.left_on_cpu == ["FullyConnected x1"]


def test_samples_run_on_the_sdks_simulator(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    tools, out = toolchain("snpe-sdk"), tmp_path / "out"
    tools.convert(tiny_qdq, "sa8255", {}, out, silent)
    inputs = samples(2)
    found = tools.simulate(out, inputs, tmp_path / "work", silent)
    assert found is not None
    for sample, output in zip(inputs, found, strict=True):
        # the fake gives the sum of what it read from the raw file
        np.testing.assert_allclose(output["logits"], np.full((1, 3), sample[INPUT_NAME].sum()), rtol=1e-4)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_dlc_alone_has_no_simulator_and_no_cost_model(sdk: FakeSdk, tiny_qdq: Path, tmp_path: Path) -> None:
    tools, out = toolchain("snpe-sdk"), tmp_path / "out"
    tools.convert(tiny_qdq, "sa8255", SNPE, out, silent)
    assert tools.simulate(out, samples(1), tmp_path, silent) is None
    assert tools.cost(out) is None and not tools.has_target("sa8255")
    with pytest.raises(ToolchainUnavailable, match="toolchain qnn"):
        tools.loading(out)


def test_the_boards_programs_are_driven_and_read(tmp_path: Path) -> None:
    board = FakeSdk(tmp_path / "board", "aarch64-oe-linux-gcc11.2")
    tools = BoardTools(board.root, "aarch64-oe-linux-gcc11.2", 73)
    write_inputs(tmp_path, {INPUT_NAME: INPUT_SHAPE}, samples(1))
    assert throughput(tools, tmp_path / "model.dlc", tmp_path, seconds=10) == 43.6138
    times = layer_times(tools, tmp_path / "model.dlc", "input_list.txt", tmp_path)
    assert [(time.layer, time.time) for time in times][1:] == [("conv1:OpId_24", 81361), ("head, fused:OpId_50", 7937)]
    (tmp_path / "output").rename(tmp_path / "first")
    found = execute_statistics(tools, tmp_path / "model.bin", "input_list.txt", tmp_path)
    assert found.microseconds("Average", "Accelerator (execute) time") == 2492
    assert "--use_dsp" in board.calls[0]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["snpe-pytorch-to-dlc", "--input_network", "m.pt", "--quantize_overwrite"], "unrecognized arguments"),
        (["snpe-dlc-quant", "--input_dlc=a.dlc", "--quantization_algorithm", "MIN_MAX_AVERAGE"], "unrecognized"),
        (["snpe-dlc-quant", "--input_dlc=a.dlc", "--float_fallback"], "needs --override_params"),
        (["snpe-dlc-graph-prepare", "--input_dlc=a", "--htp_socs=sm8650", "--htp_archs=v75"], "does not go with"),
        (["qairt-converter", "-i", "m.onnx", "--target_soc_model", "SA8255"], "needs --target_backend"),
        (["snpe-net-run", "--container", "m.dlc"], "are required: --input_list"),
        (["qairt-quantizer", "-i", "a.dlc", "-l", "l.txt", "--act_bitwidth", "4"], "invalid choice: '4'"),
    ],
)
def test_the_fakes_refuse_what_the_documented_tools_refuse(
    sdk: FakeSdk, tmp_path: Path, command: list[str], says: str
) -> None:
    with pytest.raises(DMSError, match=says):
        run_tool(find_sdk(), command, tmp_path, 60)
    assert sdk.calls == []


def test_a_torchscript_model_is_accepted_by_its_own_tool(sdk: FakeSdk, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"torchscript")
    (tmp_path / "encodings.json").write_text('{"version": "0.6.1"}')
    run_tool(find_sdk(), argv.snpe_pytorch_to_dlc({"frames": (1, 3, 16, 16)}, "encodings.json"), tmp_path, 60)
    assert (tmp_path / "float.dlc").is_file()


def test_calibration_on_a_list_is_accepted_by_both_quantizers(sdk: FakeSdk, tmp_path: Path) -> None:
    write_inputs(tmp_path, {INPUT_NAME: INPUT_SHAPE}, samples(2))
    (tmp_path / "float.dlc").write_bytes(b"dlc")
    for command in (
        argv.snpe_dlc_quant(argv.Widths(4, 16), INPUT_LIST),
        argv.qairt_quantizer(argv.Widths(), INPUT_LIST),
    ):
        run_tool(find_sdk(), command, tmp_path, 60)
        assert (tmp_path / "quantized.dlc").is_file()
        (tmp_path / "quantized.dlc").unlink()
