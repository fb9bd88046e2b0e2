"""What goes into the tools and what comes out: encodings, raw files, recorded outputs."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

from dms_operator.api.errors import ConversionFailed
from dms_operator.toolchains.snpe_sdk import argv
from dms_operator.toolchains.snpe_sdk.encodings import encoding, float_model
from dms_operator.toolchains.snpe_sdk.inputs import write_inputs
from dms_operator.toolchains.snpe_sdk.network import read_network
from dms_operator.toolchains.snpe_sdk.outputs import (
    parse_diagview,
    parse_dlc_info,
    parse_profile_viewer,
    parse_throughput,
    read_results,
)
from model_fixtures import tiny_classifier
from toolchains.qdq import Reader, samples

FIXTURES = Path(__file__).parent / "fixtures"


def lines(name: str) -> list[str]:
    return (FIXTURES / name).read_text().splitlines()


@given(st.floats(1e-6, 10), st.sampled_from([4, 8, 16]), st.booleans(), st.data())
def test_an_encoding_means_the_same_numbers_as_onnx(scale: float, bits: int, signed: bool, data: st.DataObject) -> None:
    low = -(1 << bits - 1) if signed else 0
    high = low + (1 << bits) - 1
    zero, value = data.draw(st.integers(low, high)), data.draw(st.integers(low, high))
    found = encoding(scale, zero, bits, signed=signed)
    by_onnx = (value - zero) * scale
    by_qairt = ((value - low) + found["offset"]) * found["scale"]
    assert by_qairt == pytest.approx(by_onnx)
    assert found["min"] <= by_onnx + 1e-9 and by_onnx <= found["max"] + 1e-9
    assert found["max"] - found["min"] == pytest.approx(scale * ((1 << bits) - 1))


def test_a_symmetric_weight_has_aimets_form() -> None:
    found = encoding(0.5, 0, 8, signed=True)
    assert (found["is_symmetric"], found["offset"], found["min"], found["max"]) == ("True", -128, -64.0, 63.5)


def test_every_scale_of_the_qdq_model_becomes_an_override(tiny_qdq: Path) -> None:
    split = float_model(onnx.load(tiny_qdq))
    weights = {name.removesuffix("_DequantizeLinear_Output"): entries for name, entries in split.parameters.items()}
    assert {"conv1_weight", "conv2_weight"} <= set(weights)
    assert len(weights["conv1_weight"]) == 8, "one per output channel"
    assert not any("bias" in name for name in split.parameters)
    assert {"frames", "logits"} <= set(split.activations)
    assert all(entry[0]["bitwidth"] == 8 for entry in split.activations.values())


def test_the_float_model_computes_what_the_qdq_model_does_but_for_activations(tiny_qdq: Path, tmp_path: Path) -> None:
    split = float_model(onnx.load(tiny_qdq))
    onnx.checker.check_model(split.model, full_check=True)
    onnx.save(split.model, tmp_path / "float.onnx")
    assert not any("quantize" in node.op_type.lower() for node in split.model.graph.node)
    for sample in samples(3):
        [ours] = onnxruntime.InferenceSession(tmp_path / "float.onnx").run(["logits"], sample)
        [theirs] = onnxruntime.InferenceSession(tiny_qdq).run(["logits"], sample)
        # a few steps of 8-bit activations
        np.testing.assert_allclose(ours, theirs, atol=0.1)


def test_the_weights_of_the_float_model_are_exactly_the_dequantized_ones(tiny_qdq: Path) -> None:
    model = onnx.load(tiny_qdq)
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    [node] = [node for node in model.graph.node if node.output[0] == "conv1_weight_DequantizeLinear_Output"]
    quantized, scale = before[node.input[0]], before[node.input[1]]
    split = {tensor.name: numpy_helper.to_array(tensor) for tensor in float_model(model).model.graph.initializer}
    np.testing.assert_array_equal(split[node.output[0]], quantized.astype(np.float32) * scale.reshape(-1, 1, 1, 1))


def test_sixteen_bit_activations_and_four_bit_weights_set_the_quantizers_widths(tmp_path: Path) -> None:
    source = tiny_classifier(tmp_path / "float.onnx")
    config = get_qnn_qdq_config(
        source, Reader(), activation_type=QuantType.QUInt16, weight_type=QuantType.QInt4, per_channel=True
    )
    quantize(source, tmp_path / "w4a16.onnx", config)
    network = read_network(tmp_path / "w4a16.onnx")
    assert (network.widths.weights, network.widths.activations) == (4, 16)


def test_raw_files_are_little_endian_floats_in_the_models_layout(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float64).reshape(1, 2, 3, 4)
    count = write_inputs(tmp_path, {"a": (1, 2, 3, 4), "b": (1,)}, [{"a": array, "b": np.ones(1, np.int64)}] * 2)
    assert count == 2
    assert (tmp_path / "input_list.txt").read_text().splitlines() == [
        "a:=inputs/0_0.raw b:=inputs/0_1.raw",
        "a:=inputs/1_0.raw b:=inputs/1_1.raw",
    ]
    np.testing.assert_array_equal(np.fromfile(tmp_path / "inputs/0_0.raw", "<f4"), array.ravel())
    assert (tmp_path / "inputs/0_1.raw").read_bytes() == b"\x00\x00\x80\x3f"


def test_one_input_is_listed_without_its_name(tmp_path: Path) -> None:
    write_inputs(tmp_path, {"a": (1,)}, [{"a": np.zeros(1)}])
    assert (tmp_path / "input_list.txt").read_text() == "inputs/0_0.raw\n"


def test_the_recorded_dlc_info_gives_layers_and_their_runtimes() -> None:
    layers = parse_dlc_info(lines("dlc_info.txt"))
    assert [(layer.name, layer.op_type, layer.on_htp) for layer in layers] == [
        ("t.1", "data", True),
        ("conv1", "Conv2d", True),
        ("head", "FullyConnected", True),
    ]


def test_the_recorded_throughput_is_the_total() -> None:
    assert parse_throughput(lines("throughput.txt")) == 43.6138


def test_the_recorded_profile_gives_execute_times_and_not_those_of_other_phases() -> None:
    found = parse_profile_viewer(lines("profile_viewer.txt"))
    assert found.microseconds("Average", "NetRun") == 2952
    assert found.microseconds("Average", "RPC (execute) time") == 2920
    with pytest.raises(ConversionFailed, match="no NetRun under Min"):
        found.microseconds("Min", "NetRun")


def test_layers_of_diagview_are_found_by_column_names() -> None:
    text = (FIXTURES / "diagview.csv").read_text()
    assert [(row.time, row.unit) for row in parse_diagview(f"a title\n{text}")] == [
        (1863, "cycles"),
        (81361, "cycles"),
        (7937, "cycles"),
    ]


@given(st.text(max_size=300))
def test_whatever_a_tool_prints_the_answer_is_figures_or_a_refusal(text: str) -> None:
    for parse in (parse_dlc_info, parse_throughput, parse_profile_viewer):
        with pytest.raises(ConversionFailed):
            parse(text.splitlines())
    with pytest.raises(ConversionFailed):
        parse_diagview(text)


def test_an_output_file_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Result_0").mkdir()
    np.zeros(4, "<f4").tofile(tmp_path / "Result_0" / "logits.raw")
    with pytest.raises(ConversionFailed, match="4 values"):
        read_results(tmp_path, 0, {"logits": [1, 3]})
    with pytest.raises(ConversionFailed, match="no output other"):
        read_results(tmp_path, 0, {"other": [1, 3]})


def test_a_torchscript_model_has_its_own_tool_with_the_same_flags() -> None:
    command = argv.snpe_pytorch_to_dlc({"frames": (1, 3, 16, 16)}, "encodings.json")
    assert command[:5] == ["snpe-pytorch-to-dlc", "--input_network", "model.pt", "--input_dim", "frames"]
    assert "--quantize_overwrite" not in command and "1,3,16,16" in command
