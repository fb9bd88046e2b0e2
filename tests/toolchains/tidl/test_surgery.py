"""What TI's tools do not read is written as what they do, with the same result."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from dms_operator.toolchains.tidl.graph import opset_of
from dms_operator.toolchains.tidl.preflight import check_model
from dms_operator.toolchains.tidl.surgery import lowered
from toolchains.tidl.models import graph_of, node, written_out_layer_norm


def run(model: onnx.ModelProto, x: NDArray[Any]) -> NDArray[Any]:
    outputs = ReferenceEvaluator(model).run(None, {"x": x})
    assert isinstance(outputs, list)
    return np.asarray(outputs[0])


def test_a_newer_label_is_lowered_where_no_operator_changed() -> None:
    model = graph_of([node("Relu", ["x"], "y")], {"x": [2, 3]}, ["y"], opset=20)
    model.ir_version = 10
    assert opset_of(lowered(model)) == 19 and lowered(model).ir_version == 8
    onnx.checker.check_model(lowered(model))


def test_an_older_model_keeps_its_opset() -> None:
    assert opset_of(lowered(graph_of([node("Relu", ["x"], "y")], {"x": [2, 3]}, ["y"], opset=13))) == 13


def test_a_gelu_of_opset_20_becomes_five_nodes_that_tidl_fuses() -> None:
    model = graph_of([node("Gelu", ["x"], "y")], {"x": [2, 8]}, ["y"], opset=20)
    ready, x = lowered(model), np.linspace(-3, 3, 16, dtype=np.float32).reshape(2, 8)
    assert check_model(ready).fusions == {"Gelu": 1} and not check_model(ready).refused
    np.testing.assert_allclose(run(ready, x), run(model, x), atol=1e-6)


axes_of = st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)


@settings(deadline=None, max_examples=30)
@given(axes_of, st.booleans(), st.integers(0, 2**32 - 1))
def test_a_mean_over_any_axes_becomes_pooling_with_the_same_values(axes: list[int], keep: bool, seed: int) -> None:
    mean = node("ReduceMean", ["x", "axes"], "y", keepdims=int(keep))
    model = graph_of([mean], {"x": [2, 3, 4, 5]}, ["y"], {"axes": np.array(axes)}, opset=18)
    x = np.random.default_rng(seed).normal(size=(2, 3, 4, 5)).astype(np.float32)
    ready = lowered(model)
    onnx.checker.check_model(ready)
    assert not check_model(ready).refused
    np.testing.assert_allclose(run(ready, x), run(model, x), rtol=1e-5, atol=1e-6)


shapes_of = st.lists(st.integers(2, 5), min_size=1, max_size=3)


@settings(deadline=None, max_examples=30)
@given(shapes_of, st.data())
def test_a_part_of_fewer_than_4_dimensions_is_taken_from_4_with_the_same_values(
    shape: list[int], data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    first = data.draw(st.integers(1, shape[axis] - 1))
    sizes = np.array([first, shape[axis] - first])
    cut = {"starts": np.array([first]), "ends": np.array([2**31]), "axes": np.array([axis])}
    split = onnx.helper.make_node("Split", ["x", "sizes"], ["y", "rest"], "split", axis=axis)
    for each, weights, outputs in (
        (node("Slice", ["x", "starts", "ends", "axes"], "y"), cut, ["y"]),
        (split, {"sizes": sizes}, ["y", "rest"]),
    ):
        model = graph_of([each], {"x": shape}, outputs, weights)
        x = np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)
        ready = lowered(model)
        onnx.checker.check_model(ready)
        assert not check_model(ready).refused
        for found, wanted in zip(*(ReferenceEvaluator(m).run(None, {"x": x}) for m in (ready, model)), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_slice_whose_axes_are_left_out_begins_at_the_first() -> None:
    cut = {"starts": np.array([1, 2]), "ends": np.array([3, 4])}
    model = graph_of([node("Slice", ["x", "starts", "ends"], "y")], {"x": [4, 5, 2]}, ["y"], cut)
    x = np.arange(40, dtype=np.float32).reshape(4, 5, 2)
    np.testing.assert_array_equal(run(lowered(model), x), run(model, x))


def test_a_slice_that_is_computed_at_run_time_stays_and_is_refused() -> None:
    model = graph_of([node("Slice", ["x", "s", "e", "a"], "y")], {"x": [4, 5]}, ["y"])
    for name in ("s", "e", "a"):
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [1]))
    assert [each.op for each in check_model(lowered(model)).refused] == ["Slice"]


@pytest.mark.parametrize(("op", "more"), [("GlobalAveragePool", {}), ("ReduceMean", {"axes": [2, 3]})])
def test_a_mean_over_a_large_plane_becomes_a_product(op: str, more: dict[str, Any]) -> None:
    model = graph_of([node(op, ["x"], "y", **more)], {"x": [1, 3, 40, 40]}, ["y"], opset=17)
    x = np.random.default_rng(1).normal(size=(1, 3, 40, 40)).astype(np.float32)
    ready = lowered(model)
    assert [each.op_type for each in ready.graph.node] == ["Reshape", "MatMul", "Reshape"]
    assert not check_model(ready).refused
    np.testing.assert_allclose(run(ready, x), run(model, x), rtol=1e-4, atol=1e-6)


def test_a_small_global_pool_stays() -> None:
    model = graph_of([node("GlobalAveragePool", ["x"], "y")], {"x": [1, 3, 32, 32]}, ["y"])
    assert [each.op_type for each in lowered(model).graph.node] == ["GlobalAveragePool"]


def test_the_means_inside_a_layer_norm_stay() -> None:
    assert [each.op_type for each in lowered(written_out_layer_norm()).graph.node].count("ReduceMean") == 2


@pytest.mark.parametrize(("shape", "kept"), [([1, -1], False), ([0, 6], True)])
def test_allowzero_is_dropped_only_where_it_says_nothing(shape: list[int], kept: bool) -> None:
    model = graph_of([node("Reshape", ["x", "s"], "y", allowzero=1)], {"x": [2, 3]}, ["y"], {"s": np.array(shape)})
    assert bool(lowered(model).graph.node[0].attribute) is kept


def test_the_given_model_is_left_as_it_was() -> None:
    model = graph_of([node("Gelu", ["x"], "y")], {"x": [2, 8]}, ["y"], opset=20)
    before = model.SerializeToString()
    lowered(model)
    assert model.SerializeToString() == before
