"""Golden outputs: which samples, how far a healthy vehicle may be from them, and what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as some
from onnx import TensorProto, helper, numpy_helper

from dms_operator.api.errors import GoldenMismatch, GoldenMissing
from dms_operator.pipeline import golden_outputs
from dms_operator.pipeline.golden import GOLDEN, Golden, Tolerance, compare, difference
from dms_operator.pipeline.golden_outputs import farthest
from dms_operator.pipeline.rounding_floor import rounding_floor
from dms_operator.pipeline.session import cpu_session
from pipeline.vehicle.releases import Factory, net

COMPILED = "sha256:" + "c" * 64
ANY_FLOATS = some.lists(some.floats(width=32), min_size=1, max_size=4)


def golden(*values: list[float], limit: float = 0.5, name: str = "logits") -> Golden:
    arrays = [np.array([each], np.float32) for each in values]
    return Golden(
        COMPILED, "simulated", [{"frames": each} for each in arrays], [{name: each} for each in arrays],
        {name: Tolerance(limit, "a test")},
    )  # fmt: skip


def test_what_is_saved_is_loaded_and_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = golden([1, 2], [3, 4]), golden([1, 2], [3, 4])
    assert first.save(tmp_path / "a.npz").read_bytes() == second.save(tmp_path / "b.npz").read_bytes()
    loaded = Golden.load(tmp_path / "a.npz")
    assert loaded.to_wire() == first.to_wire()
    assert [each["frames"].tolist() for each in loaded.inputs] == [[[1, 2]], [[3, 4]]]
    assert compare(loaded, first.outputs).deviation == 0


def test_names_of_tensors_never_become_names_of_files(tmp_path: Path) -> None:
    name = "../../etc/passwd"
    golden([1.0], name=name).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert set(file) == {"about", "input.0", "output.0"}
    assert list(Golden.load(tmp_path / "a.npz").tolerances) == [name]


def test_a_later_version_of_the_file_is_told(tmp_path: Path) -> None:
    path = golden([1.0]).save(tmp_path / "a.npz")
    with np.load(path) as file:
        arrays = dict(file)
    text = arrays.pop("about").tobytes().replace(b'"version": 1', b'"version": 2')
    np.savez(path, about=np.frombuffer(text, np.uint8), **arrays)
    with pytest.raises(GoldenMissing, match="version 2 is unknown"):
        Golden.load(path)


@given(ANY_FLOATS, ANY_FLOATS)
def test_a_difference_is_never_nan_and_none_where_values_are_equal(first: list[float], second: list[float]) -> None:
    size = min(len(first), len(second))
    one, other = np.array(first[:size], np.float32), np.array(second[:size], np.float32)
    found = difference(one, other)
    assert found >= 0
    assert (found == 0) == bool((one == other).all())
    assert found == difference(other, one)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_mean_nothing_are_beyond_every_tolerance(value: float) -> None:
    agreement = compare(golden([1.0], limit=1e30), [{"logits": np.array([[value]], np.float32)}])
    assert not agreement.holds and agreement.deviation == np.inf


def test_the_output_nearest_to_its_limit_is_told() -> None:
    both = Golden(
        COMPILED, "host", [{}], [{"a": np.zeros(1), "b": np.zeros(1)}],
        {"a": Tolerance(10.0, "wide"), "b": Tolerance(0.1, "tight")},
    )  # fmt: skip
    agreement = compare(both, [{"a": np.array([5.0]), "b": np.array([0.09])}])
    assert (agreement.output, agreement.tolerance) == ("b", 0.1) and agreement.holds
    assert not compare(both, [{"a": np.array([5.0]), "b": np.array([0.11])}]).holds


def test_an_exact_output_must_be_exact() -> None:
    exact = golden([1.0], limit=0.0)
    assert compare(exact, exact.outputs).holds
    assert not compare(exact, golden([1.0000001]).outputs).holds


@pytest.mark.parametrize("outputs", [{}, {"other": np.zeros((1, 1))}, {"logits": np.zeros((1, 2))}])
def test_outputs_of_another_form_are_a_mismatch(outputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(GoldenMismatch):
        compare(golden([1.0]), [outputs])


def test_the_samples_whose_answers_differ_most_are_kept() -> None:
    answers = np.array([[0, 0], [0.1, 0], [5, 0], [5, 0.2], [0, 9]], float)
    assert farthest(answers, 3) == [0, 4, 2]


def test_equal_answers_still_give_as_many_samples_as_wanted() -> None:
    assert sorted(farthest(np.zeros((5, 2)), 4)) == [0, 1, 2, 3]
    assert farthest(np.zeros((2, 2)), 4) == [0, 1]


def deep_net(layers: int, width: int) -> onnx.ModelProto:
    """Linear layers and Relu, weights of one seed scaled such that values neither grow nor vanish."""
    random = np.random.default_rng(7)
    nodes, weights, last = [], [], "x"
    for number in range(layers):
        matrix = random.standard_normal((width, width), np.float32) * np.sqrt(2.0 / width).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"w{number}"))
        nodes += [
            helper.make_node("MatMul", [last, f"w{number}"], [f"m{number}"]),
            helper.make_node("Relu", [f"m{number}"], [f"r{number}"]),
        ]
        last = f"r{number}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "deep", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_the_floor_covers_another_order_of_the_same_sums_and_little_more_than_that() -> None:
    """Sums in single precision against the same net in double precision: worse than any other order of them."""
    layers, width = 24, 256
    model = deep_net(layers, width)
    session = cpu_session(model.SerializeToString())
    sample = np.random.default_rng(1).standard_normal((1, width), np.float32)
    (found,) = session.run(None, {"x": sample})
    exact = sample.astype(np.float64)
    for weight in model.graph.initializer:
        exact = np.maximum(exact @ numpy_helper.to_array(weight).astype(np.float64), 0)
    name = model.graph.output[0].name
    floor = rounding_floor(model, "onnxruntime", [{name: found}])[name]
    assert difference(found, exact) < floor.limit < 1e-3 * np.abs(found).max()
    assert floor.source.startswith("rounding of floating-point sums")


def test_npus_get_the_rounding_of_half_precision_values() -> None:
    model = deep_net(8, 16)
    output = {model.graph.output[0].name: np.ones((1, 16), np.float32)}
    single, half = (
        rounding_floor(model, toolchain, [output])[model.graph.output[0].name].limit
        for toolchain in ("onnxruntime", "qnn")
    )
    assert half - single == pytest.approx(16 * 2**-11)  # 8 products and 8 Relu


def test_a_dequantized_output_may_be_one_step_off() -> None:
    scale = numpy_helper.from_array(np.array(0.25, np.float32), "scale")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["d"]),
        helper.make_node("Reshape", ["d", "shape"], ["y"]),
    ]
    shape = numpy_helper.from_array(np.array([1, 4], np.int64), "shape")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "qdq", ends[:1], ends[1:], [scale, shape]))
    floor = rounding_floor(model, "qnn", [{"y": np.zeros((1, 4), np.float32)}])["y"]
    assert (floor.limit, floor.source) == (0.25, "one quantization step of the output")


def test_whole_numbers_have_no_rounding() -> None:
    model = deep_net(1, 4)
    output = {model.graph.output[0].name: np.array([3], np.int64)}
    assert rounding_floor(model, "qnn", [output])[model.graph.output[0].name].limit == 0


def test_every_output_has_a_tolerance_of_its_own_and_the_file_is_bounded(
    factory: Factory, own_board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference's answers are kept for the first output alone; the second one's are computed."""
    model = onnx.load(net(factory.root / "two.onnx", 0))
    pooled = next(node for node in model.graph.node if node.op_type == "Flatten")
    model.graph.output.append(helper.make_tensor_value_info(pooled.output[0], TensorProto.FLOAT, None))
    onnx.save(onnx.shape_inference.infer_shapes(model), factory.root / "two.onnx")
    monkeypatch.setattr(golden_outputs, "GOLDEN_BYTES", 2 * 4 * (3 * 16 * 16 + 3 + 3) + 50)
    release = factory.release("2" * 6, factory.root / "two.onnx", own_board, "onnxruntime")
    found = Golden.load(factory.files(release.benchmark)[GOLDEN])
    first, second = found.tolerances["logits"], found.tolerances["features"]
    assert first.source == "largest deviation from the fp32 reference on 24 samples, measured"
    assert second.source == "largest deviation from the fp32 reference on 2 samples, measured"
    assert first.limit != second.limit
    assert len(found.inputs) == 2, "no more than fit"
