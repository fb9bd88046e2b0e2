"""The prediction without any TI tool: which nodes, why, and what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from dms_operator.api.target_options.tidl_socs import soc_named
from dms_operator.toolchains.tidl.graph import Graph
from dms_operator.toolchains.tidl.operators import HINTS, IN_PATTERN, PATTERN_OF, SUPPORTED
from dms_operator.toolchains.tidl.patterns import find_fusions
from dms_operator.toolchains.tidl.preflight import check_model, refuse
from dms_operator.toolchains.tidl.rules import RULES
from toolchains.tidl.models import graph_of, node, written_out_layer_norm

Weights = dict[str, Any]
WEIGHT = np.ones((8, 3, 3, 3), np.float32)


def ones(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, np.float32)


def reasons(*nodes: onnx.NodeProto, x: list[int], weights: Weights | None = None, opset: int = 19) -> list[str]:
    model = graph_of(nodes, {"x": x}, [nodes[-1].output[0]], weights, opset)
    return [refused.reason for refused in check_model(model).refused]


def only(*nodes: onnx.NodeProto, x: list[int], **more: Any) -> str:
    found = reasons(*nodes, x=x, **more)
    assert len(found) == 1
    return found[0]


def test_every_rule_and_pattern_belongs_to_a_supported_operator() -> None:
    assert set(RULES) <= set(SUPPORTED)
    assert set(PATTERN_OF) <= {op for op, row in SUPPORTED.items() if row.where == IN_PATTERN}
    assert all(HINTS.values())


def test_a_plain_convolution_net_is_taken_whole() -> None:
    nodes = [
        node("Conv", ["x", "w"], "a", pads=[1] * 4),
        node("Relu", ["a"], "b"),
        node("GlobalAveragePool", ["b"], "y"),
    ]
    preflight = check_model(graph_of(nodes, {"x": [1, 3, 16, 16]}, ["y"], {"w": WEIGHT}))
    assert (preflight.delegation.npu, preflight.delegation.total, preflight.subgraphs) == (3, 3, 1)
    assert not preflight.refused and not preflight.warnings


@pytest.mark.parametrize(
    ("weight", "attributes", "reason"),
    [
        ((8, 3, 3, 3), {"strides": [1, 2]}, r"strides [1, 2] differ"),
        ((8, 3, 9, 9), {"strides": [2, 2]}, "kernel [9, 9] with stride 2"),
        ((8, 3, 7, 7), {"strides": [4, 4]}, "kernel [7, 7] with stride 4"),
        ((3, 1, 9, 9), {"group": 3}, "depthwise kernel [9, 9] with stride 1"),
    ],
)
def test_convolutions_outside_tis_table_are_refused(weight: tuple[int, ...], attributes: Weights, reason: str) -> None:
    convolution = node("Conv", ["x", "w"], "y", **attributes)
    assert only(convolution, x=[1, 3, 32, 32], weights={"w": np.ones(weight, np.float32)}) == reason


@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), 1), ((3, 3), 2), ((5, 5), 2), ((7, 7), 1), ((1, 3), 1)])
def test_depthwise_convolutions_of_tis_table_are_taken(kernel: tuple[int, int], stride: int) -> None:
    convolution = node("Conv", ["x", "w"], "y", group=3, strides=[stride, stride])
    assert not reasons(convolution, x=[1, 3, 32, 32], weights={"w": np.ones((3, 1, *kernel), np.float32)})


@pytest.mark.parametrize(("axis", "reason"), [(-1, None), (-2, None), (3, None), (1, "axis -3; only width")])
def test_softmax_runs_over_width_and_height(axis: int, reason: str | None) -> None:
    found = reasons(node("Softmax", ["x"], "y", axis=axis), x=[1, 4, 8, 16])
    assert found == [] if reason is None else found[0].startswith(reason)


def test_layer_normalization_runs_over_width_only() -> None:
    weights = {"s": np.ones(8, np.float32)}
    assert not reasons(node("LayerNormalization", ["x", "s"], "y", axis=-1), x=[1, 4, 8], weights=weights)
    wide = {"s": np.ones((4, 8), np.float32)}
    assert "axis -2" in only(node("LayerNormalization", ["x", "s"], "y", axis=1), x=[1, 4, 8], weights=wide)


def test_a_layer_norm_written_out_is_one_layer_but_its_mean_alone_is_none() -> None:
    assert check_model(written_out_layer_norm()).fusions == {"LayerNorm": 1}
    assert not check_model(written_out_layer_norm()).refused
    assert only(node("ReduceMean", ["x"], "y", axes=[-1]), x=[1, 4, 8], opset=17) == "only inside a LayerNorm"


def test_a_layer_norm_over_another_axis_is_refused_at_its_means() -> None:
    refused = check_model(written_out_layer_norm(axis=1)).refused
    assert [each.op for each in refused] == ["ReduceMean", "ReduceMean"]
    assert "other axes than width" in refused[0].reason


GELUS = {
    "x first": [("Mul", ["x", "c"], "d"), ("Mul", ["d", "half"], "y")],
    "half last": [("Mul", ["c", "half"], "d"), ("Mul", ["x", "d"], "y")],
    "half of x": [("Mul", ["x", "half"], "d"), ("Mul", ["d", "c"], "y")],
}


@pytest.mark.parametrize("ending", GELUS)
def test_a_gelu_is_one_layer_in_whatever_order_it_is_written(ending: str) -> None:
    nodes = [node("Div", ["x", "root"], "a"), node("Erf", ["a"], "b"), node("Add", ["b", "one"], "c")]
    nodes += [node(op, inputs, output) for op, inputs, output in GELUS[ending]]
    weights = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    preflight = check_model(graph_of(nodes, {"x": [1, 4, 8]}, ["y"], weights))
    assert preflight.fusions == {"Gelu": 1} and not preflight.refused


def test_erf_alone_is_refused_with_a_hint() -> None:
    model = graph_of([node("Relu", ["x"], "a"), node("Erf", ["a"], "y")], {"x": [1, 8]}, ["y"])
    error = refuse(check_model(model), soc_named("J721E"), certain=False)
    assert "y_node (Erf: only inside a Gelu)" in str(error) and "Erf: export GELU in one piece" in str(error)


def test_a_swish_is_one_pattern() -> None:
    model = graph_of([node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"], "y")], {"x": [1, 3, 4, 4]}, ["y"])
    assert [fusion.kind for fusion in find_fusions(Graph(model))] == ["SiLU"]


@pytest.mark.parametrize(
    ("case", "x", "reason"),
    [
        (node("GlobalAveragePool", ["x"], "y"), [1, 3, 64, 64], "a plane of 4096 values, at most 1024"),
        (
            node("MaxPool", ["x"], "y", kernel_shape=[2, 2], strides=[1, 1]),
            [1, 3, 8, 8],
            "kernel [2, 2] with strides [1, 1]",
        ),
        (node("AveragePool", ["x"], "y", kernel_shape=[8, 8]), [1, 3, 8, 8], None),
        (node("Concat", ["x", "x"], "y", axis=0), [1, 3, 8, 8], "axis -4; only width, height and channels"),
        (node("ArgMax", ["x"], "y", axis=1), [1, 3, 8, 8], None),
        (node("ArgMax", ["x"], "y", axis=-1), [1, 3, 8, 8], "axis -1; only channels (-3)"),
        (node("DepthToSpace", ["x"], "y", blocksize=2), [1, 4, 8, 8], None),
        (node("Sum", ["x", "x", "x"], "y"), [1, 4, 8, 8], "3 inputs, only 2 are taken"),
        (node("NonZero", ["x"], "y"), [1, 4], "no TIDL layer"),
        (node("Identity", ["x"], "y"), [1, 4], "not as a node of its own"),
        (node("Cast", ["x"], "y", to=10), [1, 4], None),
        (node("ReduceMax", ["x"], "y", keepdims=0), [1, 4, 8, 8], "keepdims is 0"),
        (
            node("Transpose", ["x"], "y", perm=[4, 0, 1, 2, 3]),
            [2, 2, 3, 4, 5],
            "it moves the width of 5 dimensions to the front",
        ),
    ],
)
def test_single_nodes_against_tis_table(case: onnx.NodeProto, x: list[int], reason: str | None) -> None:
    assert reasons(case, x=x) == ([] if reason is None else [reason])


@pytest.mark.parametrize(
    ("case", "weights", "reason"),
    [
        (node("Clip", ["x", "low", "high"], "y"), {"low": np.float32(0), "high": np.float32(6)}, None),
        (node("Clip", ["x", "low", "high"], "y"), {"low": np.float32(1), "high": np.float32(6)}, "bounds 1.0 and 6.0"),
        (node("Pow", ["x", "p"], "y"), {"p": np.ones(8, np.float32)}, "its exponent is not one constant"),
        (node("Reshape", ["x", "s"], "y"), {"s": np.array([1, -1])}, None),
        (node("Gather", ["d", "i"], "y"), {"d": ones(4, 8), "i": np.array([1])}, "its data is a constant"),
        (node("Gather", ["x", "i"], "y"), {"i": np.array([[1]])}, "indices of 2 dimensions"),
        (node("Pad", ["x", "p"], "y"), {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, None),
        (node("Pad", ["x", "p"], "y"), {"p": np.array([0, 1, 0, 0, 0, 0, 0, 0])}, "padding of batch or channels"),
        (
            node("Slice", ["x", "b", "e", "a", "t"], "y"),
            {"b": np.array([0]), "e": np.array([8]), "a": np.array([3]), "t": np.array([2])},
            "steps other than 1",
        ),
        (node("Add", ["x", "v"], "y"), {"v": np.ones(5, np.float32)}, None),
        (
            node("Gemm", ["f", "w", "c"], "y", alpha=0.5),
            {"f": ones(1, 4), "w": ones(4, 2), "c": ones(2)},
            "transA, alpha or beta",
        ),
        (
            node("Resize", ["x", "", "s"], "y", coordinate_transformation_mode="asymmetric"),
            {"s": np.array([1, 1, 2, 2], np.float32)},
            None,
        ),
        (
            node("Resize", ["x", "", "s"], "y", mode="linear"),
            {"s": np.array([1, 1, 3, 3], np.float32)},
            "scales [3.0, 3.0]",
        ),
        (node("Resize", ["x", "", "s"], "y", mode="cubic"), {"s": np.array([1, 1, 2, 2], np.float32)}, "mode cubic"),
        (
            node("ConvTranspose", ["x", "w"], "y", strides=[1, 1]),
            {"w": ones(3, 2, 5, 5)},
            "kernel [5, 5] with strides [1, 1]",
        ),
    ],
)
def test_nodes_with_constants_against_tis_table(case: onnx.NodeProto, weights: Weights, reason: str | None) -> None:
    found = reasons(case, x=[1, 3, 4, 5], weights=weights)
    assert found == [] if reason is None else found[0].startswith(reason)


def test_parts_are_counted_between_refused_nodes_and_warnings_are_told() -> None:
    ops = ["Relu", "Round", "Relu", "Relu", "Round", "Relu"]
    names = ["x", *(f"t{number}" for number in range(len(ops)))]
    nodes = [node(op, [names[at]], names[at + 1]) for at, op in enumerate(ops)]
    preflight = check_model(graph_of(nodes, {"x": [2, 3]}, [names[-1]], opset=20))
    assert preflight.subgraphs == 3
    assert preflight.warnings == ("opset 20 has to be lowered to 19, the newest that TI's tools read",)


def test_quantization_is_looked_through(powers_qdq: Path) -> None:
    model = onnx.load(powers_qdq)
    assert any(each.op_type == "QuantizeLinear" for each in model.graph.node)
    operators = [each.op for each in Graph(model).nodes]
    assert operators == ["Conv", "Relu", "Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]
    assert not check_model(model).refused
