"""TIDL's fixed point: scales as TI's tool chooses them, and a model that computes with them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from dms_operator.toolchains.tidl.fixed_point import Precision, activation_steps, quantized, step_for, to_fixed_point
from dms_operator.toolchains.tidl.graph import Graph
from dms_operator.toolchains.tidl.powers import is_power_of_two, scale_for, scale_problems
from dms_operator.toolchains.tidl.predict import predict, signal_to_noise
from model_fixtures import layernorm_net, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples
from toolchains.tidl.models import fixed_point, graph_of, node, ranges_of

magnitudes = st.floats(1e-10, 1e10)


@given(magnitudes, st.sampled_from([8, 16]), st.booleans())
def test_a_scale_is_the_smallest_power_of_two_that_covers_the_range(magnitude: float, bits: int, signed: bool) -> None:
    scale = scale_for(magnitude, bits, signed=signed)
    levels = 2 ** (bits - 1 if signed else bits)
    assert is_power_of_two(scale)
    assert scale * levels >= magnitude > scale * levels / 2


def test_scales_are_those_of_tis_import_tool() -> None:
    assert scale_for(1.0, 8, signed=True) == 2**-7  # 2^(8-1) / 2^ceil(log2 1)
    assert scale_for(1.01, 8, signed=True) == 2**-6
    assert scale_for(6.0, 8, signed=False) == 8 / 256
    assert scale_for(0.0, 8, signed=True) == 1.0


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20), st.sampled_from([8, 16]))
def test_quantized_values_are_within_half_a_step_or_saturate_by_one(values: list[float], bits: int) -> None:
    array = np.array(values, np.float32)
    step = step_for((float(array.min()), float(array.max())), bits)
    back = quantized(array, step).astype(np.float64) * step.scale
    # the largest signed value is one step short of the power of two
    assert np.abs(back - array).max() <= step.scale


def test_more_bits_are_closer_to_the_float_model(tmp_path: Path) -> None:
    model, inputs = tiny_classifier(tmp_path / "float.onnx"), samples(4)
    reference = predict(onnx.load(model), inputs, silent)
    noise = []
    for bits in (8, 16):
        other = predict(onnx.load(fixed_point(model, tmp_path / f"{bits}.onnx", Precision(bits))), inputs, silent)
        noise.append(min(map(signal_to_noise, reference, other)))
    assert noise[0] > 20 and noise[1] > noise[0] + 30  # 8 more bits are 48 dB, less what saturation takes


def test_mixed_precision_lies_between_and_touches_only_the_named_layer(tmp_path: Path) -> None:
    model = tiny_classifier(tmp_path / "float.onnx")
    mixed = onnx.load(fixed_point(model, tmp_path / "mixed.onnx", Precision(8, frozenset({"active2_out"}))))
    wide = {tensor.name for tensor in mixed.graph.initializer if tensor.data_type in (5, 4)}  # INT16, UINT16
    assert wide == {"active2_out_zero_point", "conv2_weight/16_quantized", "conv2_weight/16_zero_point"}
    onnx.checker.check_model(mixed)
    assert Precision(8, frozenset({"a"})).name == "w8a8 power-of-two per-tensor, 1 layers 16-bit"


@pytest.mark.parametrize("writer", [tiny_classifier, layernorm_net])
def test_the_result_passes_the_check_of_the_importer(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    path = fixed_point(writer(tmp_path / "float.onnx"), tmp_path / "qdq.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert scale_problems(model) == {}


def test_a_qdq_model_of_another_scheme_has_its_problems_counted(tiny_qdq: Path) -> None:
    problems = scale_problems(onnx.load(tiny_qdq))
    assert problems["scales per channel"] > 0 and problems["scales that are no power of two"] > 0


def test_nothing_is_quantized_inside_what_tidl_runs_as_one_layer(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "float.onnx")
    steps = activation_steps(Graph(onnx.load(path)), ranges_of(path), Precision())
    assert set(steps) == {"frames", "active1_out", "active2_out", "pooled", "logits"}  # no conv_out, no flatten
    assert not steps["active1_out"].signed and steps["logits"].bits == 8


def test_pooling_keeps_the_scale_of_its_input() -> None:
    nodes = [node("MaxPool", ["x"], "a", kernel_shape=[2, 2], strides=[2, 2]), node("Neg", ["a"], "y")]
    graph = Graph(graph_of(nodes, {"x": [1, 1, 4, 4]}, ["y"]))
    steps = activation_steps(graph, {"x": (-4.0, 4.0), "a": (-0.1, 0.1), "y": (-0.1, 0.1)}, Precision())
    assert steps["a"] == steps["x"] and steps["y"].scale < steps["x"].scale


def test_biases_carry_the_scale_of_the_accumulator(powers_qdq: Path) -> None:
    model = onnx.load(powers_qdq)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    product = float(constants["pooled_scale"]) * float(constants["head_weight_scale"])
    assert float(constants["head_bias_scale"]) == product
    assert constants["head_bias_quantized"].dtype == np.int32


def test_the_given_model_is_left_as_it_was(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "float.onnx")
    model = onnx.load(path)
    to_fixed_point(model, ranges_of(path))
    assert model.SerializeToString() == onnx.load(path).SerializeToString()


def test_equal_outputs_have_no_noise() -> None:
    assert signal_to_noise({"y": np.ones(3)}, {"y": np.ones(3)}) == float("inf")


def test_the_model_computes_what_integer_arithmetic_does(tmp_path: Path) -> None:
    """A layer in whole numbers: products summed in 32 bits, shifted by powers of two, rounded to even, saturated."""
    random = np.random.default_rng(3)
    weight = random.normal(0, 0.2, (16, 4)).astype(np.float32)
    bias = random.normal(0, 0.5, 4).astype(np.float32)
    model = graph_of([node("Gemm", ["x", "w", "b"], "y")], {"x": [1, 16]}, ["y"], {"w": weight, "b": bias})
    ranges = {"x": (-2.0, 2.0), "y": (-1.5, 1.5)}
    value = random.uniform(-2.5, 2.5, (1, 16)).astype(np.float32)
    found = predict(to_fixed_point(model, ranges), [{"x": value}], silent)[0]["y"]

    exponent_x, exponent_y = 1 - 7, 1 - 7  # both ranges round up to 2
    exponent_w = int(np.ceil(np.log2(np.abs(weight).max()))) - 7
    x = np.clip(np.rint(value * 2.0**-exponent_x), -128, 127).astype(np.int64)
    w = np.clip(np.rint(weight * 2.0**-exponent_w), -128, 127).astype(np.int64)
    accumulator = x @ w + np.rint(bias * 2.0 ** -(exponent_x + exponent_w)).astype(np.int64)
    y = np.clip(np.rint(accumulator * 2.0 ** (exponent_x + exponent_w - exponent_y)), -128, 127)
    np.testing.assert_array_equal(found, (y * 2.0**exponent_y).astype(np.float32))
    assert len(np.unique(y)) > 1
