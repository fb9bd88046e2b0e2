"""Equalization keeps the function and evens out the ranges."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dms_operator.pipeline.equalize import equalize, find_pairs, rescale
from dms_operator.pipeline.linear_layers import Weights, linear_layers
from dms_operator.pipeline.session import cpu_session, run_once

Spec = tuple[str, int]
"""Kind of layer and its output channels."""


def chain(kinds: list[Spec], between: str, seed: int, spread: float = 30.0) -> onnx.ModelProto:
    """Convolutions (plain, depthwise, grouped) with an operator between them; channels of very different ranges."""
    rng = np.random.default_rng(seed)
    nodes, weights, tensor, channels = [], {}, "x", 4
    for number, (kind, outputs) in enumerate(kinds):
        groups = {"depthwise": channels, "grouped": 2}.get(kind, 1)
        outputs = channels if kind == "depthwise" else outputs
        scale = np.exp(rng.uniform(-np.log(spread), np.log(spread), (outputs, 1, 1, 1)))
        weights[f"w{number}"] = rng.normal(size=(outputs, channels // groups, 3, 3)) * scale
        weights[f"b{number}"] = rng.normal(size=outputs) * scale.ravel()
        names = [tensor, f"w{number}", f"b{number}"]
        nodes.append(helper.make_node("Conv", names, [f"c{number}"], f"conv{number}", pads=[1, 1, 1, 1], group=groups))
        tensor, channels = f"c{number}", outputs
        if number + 1 < len(kinds):
            nodes.append(helper.make_node(between, [tensor], [f"a{number}"], f"between{number}"))
            tensor = f"a{number}"
    return model(nodes, weights, [1, 4, 6, 6], tensor, [1, channels, 6, 6])


def mlp(seed: int) -> onnx.ModelProto:
    """MatMul and Add, ReLU, Gemm."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["m"], "product"),
        helper.make_node("Add", ["b0", "m"], ["s"], "bias"),
        helper.make_node("Relu", ["s"], ["a"], "relu"),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["y"], "gemm", transB=1),
    ]
    scale = np.exp(rng.uniform(-3, 3, 8))
    weights = {
        "w0": rng.normal(size=(5, 8)) * scale,
        "b0": rng.normal(size=8) * scale,
        "w1": rng.normal(size=(3, 8)),
        "b1": rng.normal(size=3),
    }
    return model(nodes, weights, [2, 5], "y", [2, 3])


def model(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: list[int], output: str, out_shape: list[int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, out_shape)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answer(net: onnx.ModelProto, seed: int) -> np.ndarray:
    session = cpu_session(net.SerializeToString(), threads=1)
    [value] = session.get_inputs()
    x = np.random.default_rng(seed).normal(size=value.shape).astype(np.float32)
    return np.asarray(run_once(session, {"x": x})[0])


def same_function(net: onnx.ModelProto, other: onnx.ModelProto, seed: int) -> bool:
    a, b = answer(net, seed), answer(other, seed)
    return bool(np.abs(a - b).max() <= 1e-4 * np.abs(a).max())


def copy(net: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(net.SerializeToString())


layers = st.lists(
    st.tuples(st.sampled_from(["plain", "depthwise", "grouped"]), st.sampled_from([4, 6, 8])), min_size=2, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(kinds=layers, between=st.sampled_from(["Relu", "LeakyRelu", "Identity"]), seed=st.integers(0, 10**6))
def test_the_function_stays(kinds: list[Spec], between: str, seed: int) -> None:
    net = chain(kinds, between, seed)
    equalized = copy(net)
    assert len(equalize(equalized)) == len(kinds) - 1
    assert same_function(net, equalized, seed)


@settings(max_examples=40, deadline=None)
@given(kinds=layers, seed=st.integers(0, 10**6))
def test_afterwards_both_sides_of_a_pair_have_the_same_range_per_channel(kinds: list[Spec], seed: int) -> None:
    net = chain(kinds[:2], "Relu", seed)
    [pair] = equalize(net)
    weights = Weights(net)
    first = np.abs(pair.first.matrix(weights[pair.first.weight])).max(axis=2).ravel()
    second = np.abs(pair.second.by_input_channel(weights[pair.second.weight])).max(axis=1)
    assert first == pytest.approx(second, rel=1e-3)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_matrix_products_and_their_added_biases_are_equalized(seed: int) -> None:
    net = mlp(seed)
    equalized = copy(net)
    assert len(equalize(equalized)) == 1
    assert same_function(net, equalized, seed)


@given(seed=st.integers(0, 10**6), k=st.floats(1.0, 50.0))
@settings(max_examples=10, deadline=None)
def test_equalization_undoes_a_skew_of_channels(seed: int, k: float) -> None:
    net = chain([("plain", 8), ("plain", 6)], "Relu", seed, spread=1.0)
    equalize(net)
    skewed = copy(net)
    [pair] = find_pairs(skewed)
    factors = np.exp(np.random.default_rng(seed).uniform(-np.log(k), np.log(k), 8)).astype(np.float32)
    rescale(pair, Weights(skewed), factors)
    equalize(skewed)
    for layer in linear_layers(net):
        assert Weights(skewed)[layer.weight] == pytest.approx(Weights(net)[layer.weight], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("between", ["Sigmoid", "HardSwish", "Tanh"])
def test_curved_activations_are_left_alone(between: str) -> None:
    assert not equalize(chain([("plain", 4), ("plain", 4)], between, 0))


def test_a_tensor_that_something_else_reads_is_left_alone() -> None:
    net = chain([("plain", 4), ("plain", 4)], "Relu", 0)
    net.graph.output.append(helper.make_tensor_value_info("a0", TensorProto.FLOAT, [1, 4, 6, 6]))
    assert not equalize(net)


def test_a_shared_weight_is_left_alone() -> None:
    net = chain([("plain", 4), ("plain", 4)], "Relu", 0)
    net.graph.node[-1].input[1] = "w0"
    assert not equalize(net)


def test_a_channel_without_weights_stays_as_it_is(tmp_path: Path) -> None:
    net = chain([("plain", 4), ("plain", 4)], "Relu", 0)
    weights = Weights(net)
    dead = weights["w0"]
    dead[2] = 0
    weights["w0"] = dead
    before = copy(net)
    equalize(net)
    assert np.isfinite(Weights(net)["w1"]).all()
    assert same_function(before, net, 0)
