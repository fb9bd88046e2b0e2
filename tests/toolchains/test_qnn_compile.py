"""Real compilations by Qualcomm's compiler for SA8255."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from dms_operator.api.errors import ConversionFailed, ToolchainUnavailable, UnsupportedOperators, WrongTarget
from dms_operator.api.target_options.qnn import parse_options
from dms_operator.api.target_options.qnn_socs import SOCS, Soc, soc_of
from dms_operator.toolchains.base import Compiled
from dms_operator.toolchains.loading import open_cpu_session, open_session
from dms_operator.toolchains.qnn import provider
from dms_operator.toolchains.qnn.arrays import load_arrays, save_arrays
from dms_operator.toolchains.qnn.binary import check_target, read_target
from dms_operator.toolchains.qnn.compile import compile_model
from dms_operator.toolchains.qnn.dlc import check_dlc
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import layernorm_net, tiny_classifier, with_uncompilable_op, with_unsupported_op
from toolchains.conftest import silent
from toolchains.qdq import quantized, samples

SA8255 = soc_of("sa8255")
ALLOW = {"allow-cpu-fallback": "true"}


def directory_of(compiled: Compiled) -> Path:
    return compiled.files["model_ctx.onnx"].parent


def test_a_compiled_model_holds_every_promised_file(tiny_compiled: Compiled) -> None:
    assert set(tiny_compiled.files) == {
        "model_ctx.onnx", "model_ctx_qnn.bin", "model.dlc", "profile.csv", "manifest.json", "layers.json",
        "delegation.json",
    }  # fmt: skip
    nodes = onnx.load(tiny_compiled.files["model_ctx.onnx"], load_external_data=False).graph.node
    assert [node.op_type for node in nodes] == ["EPContext"]


def test_the_dlc_is_a_container_with_network_and_parameters(tiny_compiled: Compiled) -> None:
    assert {"model", "model.params"} <= set(zipfile.ZipFile(tiny_compiled.files["model.dlc"]).namelist())


def test_the_binary_is_bound_to_sa8255_by_qnns_own_account(tiny_compiled: Compiled) -> None:
    target = read_target(tiny_compiled.files["model_ctx_qnn.bin"])
    assert (target.soc_model, target.architecture, target.graphs) == (52, 73, 1)
    assert target.sdk.startswith("v2.")


def test_the_facts_and_the_manifest_tell_target_tools_and_delegation(tiny_compiled: Compiled) -> None:
    facts = tiny_compiled.facts
    assert (facts.soc, facts.architecture, facts.toolchain) == ("SA8255", "v73", "qnn")
    assert facts.delegation.npu == facts.delegation.total == 5
    assert facts.size_bytes == tiny_compiled.files["model_ctx_qnn.bin"].stat().st_size
    manifest = json.loads(tiny_compiled.files["manifest.json"].read_text())
    assert manifest["target"]["soc_model"] == 52 and manifest["board"] == "qcs8255"
    assert manifest["files"]["model.dlc"]["sizeBytes"] > 0
    assert "QAIRT v2." in manifest["compiled"]["toolVersion"]


def test_the_cost_model_prices_the_compiled_model(tiny_compiled: Compiled) -> None:
    facts = Qnn().cost(directory_of(tiny_compiled))
    assert facts is not None and facts.provenance == "simulated"
    assert facts.bound is not None and 0 < facts.p50.value <= facts.bound.value
    assert facts.p99 is None and facts.samples == 0


def test_the_simulator_agrees_with_the_quantized_model_on_the_host(
    tiny_compiled: Compiled, tiny_qdq: Path, tmp_path: Path
) -> None:
    reports: list[tuple[str, int, int]] = []
    inputs = samples(3)
    before = {path.name for path in directory_of(tiny_compiled).iterdir()}
    simulated = Qnn().simulate(directory_of(tiny_compiled), inputs, tmp_path, lambda *report: reports.append(report))
    assert simulated is not None
    host = [open_cpu_session(tiny_qdq).run(sample) for sample in inputs]
    # one step of the output's quantization is 4 / 255 of a range of about 3
    for there, here in zip(simulated, host, strict=True):
        np.testing.assert_allclose(there["logits"], here["logits"], atol=0.05)
    assert reports[0] == ("simulate", 0, 3) and reports[-1] == ("simulate", 3, 3)
    assert list(tmp_path.iterdir()) == []
    assert {path.name for path in directory_of(tiny_compiled).iterdir()} == before


@pytest.mark.parametrize("half", [False, True])
def test_float_models_compile_too(tmp_path: Path, half: bool) -> None:
    model = tiny_classifier(tmp_path / "float.onnx")
    if half:
        onnx.save(convert_float_to_float16(onnx.load(model), keep_io_types=True), model)
    facts = Qnn().convert(model, "sa8255", {}, tmp_path, silent).facts
    assert facts.delegation.npu == facts.delegation.total > 0


def test_an_int8_layernorm_scale_shatters_the_graph_and_is_refused(tmp_path: Path) -> None:
    model = quantized(layernorm_net(tmp_path / "float.onnx"), tmp_path / "qdq.onnx")
    with pytest.raises(UnsupportedOperators, match=r"1 of 6 nodes.* norm \(LayerNormalization\).*3110.*uint8"):
        Qnn().convert(model, "sa8255", {}, tmp_path, silent)


def test_a_uint8_layernorm_scale_keeps_the_graph_whole(tmp_path: Path) -> None:
    model = quantized(layernorm_net(tmp_path / "float.onnx"), tmp_path / "qdq.onnx", uint8=["norm_scale"])
    facts = Qnn().convert(model, "sa8255", {}, tmp_path, silent).facts
    assert (facts.delegation.npu, facts.delegation.total) == (6, 6)


def test_an_unsupported_operator_is_refused_by_name(tmp_path: Path) -> None:
    model = quantized(with_unsupported_op(tmp_path / "float.onnx"), tmp_path / "qdq.onnx")
    with pytest.raises(UnsupportedOperators, match=r"2 of 7 nodes.* activation1 \(Erf\), activation2 \(Erf\)"):
        Qnn().convert(model, "sa8255", {}, tmp_path, silent)


def test_a_shattered_graph_passes_when_allowed_and_says_what_is_left(tmp_path: Path) -> None:
    model = quantized(with_unsupported_op(tmp_path / "float.onnx"), tmp_path / "qdq.onnx")
    compiled = Qnn().convert(model, "sa8255", ALLOW, tmp_path / "out", silent)
    delegation = compiled.facts.delegation
    assert (delegation.npu, delegation.total, delegation.left_on_cpu) == (5, 7, ["Erf x2"])
    assert {"model_0.dlc", "model_1.dlc", "model_2.dlc"} <= set(compiled.files)
    cost = Qnn().cost(directory_of(compiled))
    assert cost is not None and "2 nodes run on the CPU" in cost.notes and "3 partitions" in cost.notes
    assert "of 3 partitions" not in cost.notes
    assert Qnn().simulate(directory_of(compiled), samples(1), tmp_path, silent)


@pytest.mark.parametrize("options", [{}, ALLOW])
def test_a_graph_that_the_compiler_gives_up_on_is_refused_with_its_reason(
    tmp_path: Path, options: dict[str, str]
) -> None:
    model = quantized(with_uncompilable_op(tmp_path / "float.onnx"), tmp_path / "qdq.onnx")
    with pytest.raises((UnsupportedOperators, ConversionFailed), match=r"Mish"):
        Qnn().convert(model, "sa8255", options, tmp_path, silent)


def test_a_binary_for_another_soc_is_refused(tmp_path: Path, tiny_qdq: Path) -> None:
    compiled = compile_model(tiny_qdq, parse_options({}, "qcs8550"), tmp_path, silent)
    target = read_target(compiled.files["model_ctx_qnn.bin"])
    check_target(target, SOCS["QCS8550"])
    with pytest.raises(WrongTarget, match=r"bound to QCS8550 \(soc 66\), wanted SA8255 \(soc 52\)"):
        check_target(target, SA8255)


def test_a_binary_for_another_architecture_is_refused(tiny_compiled: Compiled) -> None:
    target = read_target(tiny_compiled.files["model_ctx_qnn.bin"])
    with pytest.raises(WrongTarget, match=r"bound to v73, wanted v75"):
        check_target(target, Soc("SA8255", 52, 75, 8))


@pytest.mark.parametrize("content", [b"", b"not a context binary" * 50])
def test_a_file_that_is_no_context_binary_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model_ctx_qnn.bin"
    path.write_bytes(content)
    with pytest.raises(ConversionFailed, match="context binary"):
        read_target(path)


def test_a_truncated_dlc_is_refused(tiny_compiled: Compiled, tmp_path: Path) -> None:
    path = tmp_path / "model.dlc"
    path.write_bytes(tiny_compiled.files["model.dlc"].read_bytes()[:-100])
    with pytest.raises(ConversionFailed, match="not a DLC"):
        check_dlc(path)


def test_a_file_that_is_no_model_ends_in_the_tools_words(tmp_path: Path, tiny_qdq: Path) -> None:
    model = onnx.load(tiny_qdq)
    model.graph.node[-1].output[0] = "elsewhere"
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(ConversionFailed, match=r"QNN compiler refused the model.*logits"):
        Qnn().convert(tmp_path / "broken.onnx", "sa8255", {}, tmp_path, silent)


def test_this_machine_does_not_pretend_to_be_the_board(tiny_compiled: Compiled) -> None:
    assert not Qnn().has_target("sa8255")


def test_a_truncated_context_binary_is_refused(tiny_compiled: Compiled, tmp_path: Path) -> None:
    path = tmp_path / "model_ctx_qnn.bin"
    content = tiny_compiled.files["model_ctx_qnn.bin"].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ConversionFailed, match="libQnnSystem cannot read"):
        read_target(path)


def test_the_boards_session_is_refused_where_there_is_no_board(tiny_compiled: Compiled) -> None:
    with pytest.raises(ToolchainUnavailable, match="no QNN device"):
        open_session(Qnn().loading(directory_of(tiny_compiled)), directory_of(tiny_compiled))


def test_the_boards_session_times_and_runs_the_compiled_model(
    tiny_compiled: Compiled, tiny_qdq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the simulator stands in for the NPU here: this shows the code path, not the board
    monkeypatch.setattr(provider, "npu_devices", provider.devices)
    session = open_session(Qnn().loading(directory_of(tiny_compiled)), directory_of(tiny_compiled))
    sample = samples(1)[0]
    query = session.query(sample)
    query()
    expected = open_cpu_session(tiny_qdq).run(sample)["logits"]
    np.testing.assert_allclose(session.run(sample)["logits"], expected, atol=0.05)


def test_a_manifest_for_another_soc_is_refused_at_run_time(tiny_compiled: Compiled, tmp_path: Path) -> None:
    for path in tiny_compiled.files.values():
        shutil.copyfile(path, tmp_path / path.name)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["compiled"]["soc"] = "SM8550"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WrongTarget, match="compiled for SM8550, the board carries SA8255"):
        Qnn().simulate(tmp_path, samples(1), tmp_path, silent)


def test_inputs_may_have_any_name(tmp_path: Path) -> None:
    arrays = {"file": np.arange(3), "a/b:0": np.ones((2, 2)), "arr_0": np.zeros(1)}
    save_arrays(tmp_path / "inputs.npz", arrays)
    found = load_arrays(tmp_path / "inputs.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_truncated_model_is_refused(tiny_qdq: Path, tmp_path: Path) -> None:
    content = tiny_qdq.read_bytes()
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConversionFailed, match=r"model\.onnx is truncated"):
        Qnn().convert(tmp_path / "model.onnx", "sa8255", {}, tmp_path, silent)


@pytest.mark.parametrize("options", [{}, ALLOW])
def test_a_model_without_any_supported_operator_is_refused_even_when_fallback_is_allowed(
    tmp_path: Path, options: dict[str, str]
) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Erf", ["x"], ["y"], "only")], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedOperators, match=r"1 of 1 nodes.* only \(Erf\)"):
        Qnn().convert(tmp_path / "m.onnx", "sa8255", options, tmp_path, silent)
