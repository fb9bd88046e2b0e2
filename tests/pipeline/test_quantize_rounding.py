"""Learned rounding: on the grid, better than to nearest, and the same each time."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dms_operator.api.errors import QuantizationFailed
from dms_operator.pipeline.bias import correct_bias
from dms_operator.pipeline.layer_inputs import layer_rows, rows
from dms_operator.pipeline.linear_layers import Weights, linear_layers
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.rounding import learn_rounding, round_rows
from dms_operator.pipeline.session import cpu_session, run_once
from pipeline.test_quantize_equalize import chain, mlp

Feeds = list[dict[str, np.ndarray]]


def nearest(matrix: np.ndarray, bits: int) -> np.ndarray:
    top = 2 ** (bits - 1) - 1
    scale = np.abs(matrix).max(axis=1, keepdims=True) / top
    rounded: np.ndarray = np.clip(np.round(matrix / scale), -top - 1, top) * scale
    return rounded


def correlated(seed: int, columns: int, samples: int = 400) -> np.ndarray:
    """Inputs as images give them: neighbours say nearly the same, and channels differ in size."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(columns, columns)) * np.exp(rng.uniform(-2, 2, columns))
    return rng.normal(size=(samples, columns)) @ mixing


def feeds(shape: tuple[int, ...], count: int = 24) -> Feeds:
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(count)]


def images(count: int) -> Feeds:
    """[1, 4, 6, 6] with neighbouring pixels alike."""
    rng = np.random.default_rng(1)
    coarse = (rng.normal(size=(1, 4, 2, 2)) for _ in range(count))
    noise = (rng.normal(size=(1, 4, 6, 6)) for _ in range(count))
    return [
        {"x": (np.kron(large, np.ones((3, 3))) + 0.1 * small).astype(np.float32)}
        for large, small in zip(coarse, noise, strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), columns=st.integers(4, 40), rank=st.integers(1, 8))
def test_outputs_are_nearer_than_by_rounding_to_nearest(seed: int, columns: int, rank: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(rank, columns))
    inputs = correlated(seed, columns)
    moments = inputs.T @ inputs
    found, _ = round_rows(matrix, moments, moments, 4)

    def error(values: np.ndarray) -> float:
        return float((((values - matrix) @ inputs.T) ** 2).sum())

    assert error(found) <= error(nearest(matrix, 4)) * 1.05


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.sampled_from([4, 8]), common=st.booleans())
def test_every_value_lies_on_its_grid(seed: int, bits: int, common: bool) -> None:
    matrix = np.random.default_rng(seed).normal(size=(5, 12))
    inputs = correlated(seed, 12)
    moments = inputs.T @ inputs
    found, scales = round_rows(matrix, moments, moments, bits, float(np.abs(matrix).max()) if common else None)
    codes = found / scales[:, None]
    assert codes == pytest.approx(np.round(codes), abs=1e-6)
    assert codes.min() >= -(2 ** (bits - 1)) and codes.max() < 2 ** (bits - 1)
    assert not common or len(set(scales)) == 1


def test_inputs_that_changed_upstream_are_made_up_for() -> None:
    rng = np.random.default_rng(0)
    matrix, inputs = rng.normal(size=(4, 10)), correlated(0, 10)
    changed = inputs * np.linspace(0.5, 2.0, 10)
    found, _ = round_rows(matrix, changed.T @ changed, inputs.T @ changed, 8)
    wanted = matrix @ inputs.T
    assert np.abs(found @ changed.T - wanted).mean() < 0.05 * np.abs(wanted).mean()


@pytest.mark.parametrize("kinds", [[("plain", 8), ("grouped", 6)], [("plain", 4), ("depthwise", 4), ("plain", 8)]])
def test_a_net_keeps_its_function_better(kinds: list[tuple[str, int]]) -> None:
    net, samples = chain(kinds, "Relu", 3), images(64)
    learned, naive = copy(net), copy(net)
    grids = learn_rounding(learned, samples, lambda layer: (4, True), silent)
    assert grids.keys() == {layer.weight for layer in linear_layers(net)}
    for layer in linear_layers(naive):
        weights = Weights(naive)
        matrix = layer.matrix(weights[layer.weight])
        rounded = np.stack([nearest(group, 4) for group in matrix])
        weights[layer.weight] = layer.weight_of(rounded, weights.shape(layer.weight))
    unseen = images(96)[64:]
    assert distance(learned, net, unseen) < 0.85 * distance(naive, net, unseen)


def test_the_same_samples_give_the_same_weights() -> None:
    one, other = (chain([("plain", 8), ("plain", 6)], "Relu", 5) for _ in range(2))
    for net in (one, other):
        learn_rounding(net, feeds((1, 4, 6, 6)), lambda layer: (4, True), silent)
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_a_weight_of_zeros_and_a_shared_weight_do_no_harm() -> None:
    net = chain([("plain", 4), ("plain", 4), ("plain", 4)], "Relu", 0)
    Weights(net)["w0"] = np.zeros((4, 4, 3, 3))
    net.graph.node[-1].input[1] = "w1"
    shared = Weights(net)["w1"]
    grids = learn_rounding(net, feeds((1, 4, 6, 6)), lambda layer: (4, True), silent)
    assert grids.keys() == {"w0"}
    assert (Weights(net)["w0"] == 0).all()
    assert (Weights(net)["w1"] == shared).all()


def test_an_input_that_overflows_is_named() -> None:
    net = chain([("plain", 4), ("plain", 4)], "Relu", 0)
    huge = [{"x": np.full((1, 4, 6, 6), np.inf, np.float32)}]
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(QuantizationFailed, match="the input of conv0 becomes NaN or infinite"),
    ):
        learn_rounding(net, huge, lambda layer: (4, True), silent)


def test_progress_counts_layers() -> None:
    steps: list[tuple[str, int, int]] = []
    net = mlp(0)
    learn_rounding(net, feeds((2, 5)), lambda layer: (4, False), lambda *step: steps.append(step))
    assert steps == [("round", 1, 2), ("round", 2, 2)]


@settings(max_examples=30, deadline=None)
@given(
    kernel=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2]),
    padding=st.sampled_from([{"pads": [1, 0, 2, 1]}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {}]),
    seed=st.integers(0, 1000),
)
def test_rows_times_the_weight_are_what_the_convolution_gives(
    kernel: int, stride: int, dilation: int, groups: int, padding: dict[str, Any], seed: int
) -> None:
    dilation = 1 if "auto_pad" in padding else dilation  # ONNX Runtime pads dilated kernels otherwise
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(6, 4 // groups, kernel, kernel)).astype(np.float32)
    node = helper.make_node(
        "Conv",
        ["x", "w"],
        ["y"],
        "conv",
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        dilations=[dilation, dilation],
        group=groups,
        **padding,
    )
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 9, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    x = rng.normal(size=(1, 4, 9, 8)).astype(np.float32)
    [expected] = run_once(cpu_session(net.SerializeToString(), threads=1), {"x": x})
    [layer] = linear_layers(net)
    found = np.einsum("gpc,goc->gop", rows(layer, x, 0), layer.matrix(weight)).reshape(expected.shape)
    assert found == pytest.approx(expected, abs=1e-4)


def test_positions_are_bounded_and_vary_from_sample_to_sample() -> None:
    net = chain([("plain", 4)], "Relu", 0)
    [layer] = linear_layers(net)
    big = np.arange(4 * 64 * 64, dtype=np.float32).reshape(1, 4, 64, 64)
    first, second = rows(layer, big, 0), rows(layer, big, 1)
    assert first.shape[1] <= 256
    assert not np.array_equal(first, second)


def test_rows_come_from_every_layer_in_one_run() -> None:
    net = chain([("plain", 4), ("plain", 6)], "Relu", 0)
    first, second = next(layer_rows(net, list(linear_layers(net)), feeds((1, 4, 6, 6))))
    assert (first.shape, second.shape) == ((1, 36, 36), (1, 36, 36))


def test_bias_correction_gives_back_the_mean_output() -> None:
    net, samples = chain([("plain", 8)], "Relu", 7, spread=1.0), feeds((1, 4, 6, 6))
    Weights(net)["b0"] = np.zeros(8)
    rounded = Weights(net)["w0"] + np.float32(0.3)
    corrected = copy(net)
    steps: list[int] = []
    assert correct_bias(corrected, {"w0": rounded}, samples, 24, lambda step, done, total: steps.append(done)) == 1
    assert steps == list(range(1, 25))
    Weights(corrected)["w0"] = rounded
    means = [outputs(each, samples).mean(axis=(0, 1, 3, 4)) for each in (net, corrected)]
    assert means[0] == pytest.approx(means[1], abs=1e-3)


def test_layers_without_a_bias_of_their_own_stay() -> None:
    net = chain([("plain", 4), ("plain", 4)], "Relu", 0)
    net.graph.node[-1].input[2] = "b0"
    before = net.SerializeToString(deterministic=True)
    assert (
        correct_bias(net, {"w0": Weights(net)["w0"] + 1, "w1": Weights(net)["w1"] + 1}, feeds((1, 4, 6, 6)), 24, silent)
        == 0
    )
    assert net.SerializeToString(deterministic=True) == before


def copy(net: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(net.SerializeToString())


def outputs(net: onnx.ModelProto, samples: Feeds) -> np.ndarray:
    session = cpu_session(net.SerializeToString(), threads=1)
    return np.stack([run_once(session, feed)[0] for feed in samples])


def distance(net: onnx.ModelProto, reference: onnx.ModelProto, samples: Feeds) -> float:
    return float(np.abs(outputs(net, samples) - outputs(reference, samples)).mean())
