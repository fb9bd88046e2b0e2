"""The sensitivity of layers from kept activations is that of runs from the input on, in bounded memory."""

import weakref
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dms_operator.pipeline import sensitivity
from dms_operator.pipeline.calibration import Feed
from dms_operator.pipeline.encodings import Encoding
from dms_operator.pipeline.feeds import Feeds, head
from dms_operator.pipeline.machine import usable_cores
from dms_operator.pipeline.mixed import multiplications
from dms_operator.pipeline.parts import cuts, part
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.sensitivity import errors_alone
from dms_operator.pipeline.session import cpu_session, run_once
from dms_operator.pipeline.switches import Switched
from dms_operator.toolchains.onnx_graph import reads

OUTPUTS = ["logits", "side", "class"]
NO_LIMIT = 1 << 40
STEP = 0.05


def branched() -> onnx.ModelProto:
    """A residual net; a second input joins late, an If reads from around it, and outputs leave at three places."""
    rng = np.random.default_rng(0)
    flat = helper.make_tensor_value_info("chosen", TensorProto.FLOAT, [1, 4])
    then, otherwise = (
        helper.make_graph([helper.make_node(operator, ["features"], ["chosen"])], operator, [], [flat])
        for operator in ("Identity", "Neg")
    )
    nodes = [
        helper.make_node("Conv", ["frames", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["a1"], "relu"),
        helper.make_node("Conv", ["a1", "w2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c2"], ["side"], "side"),
        helper.make_node("Add", ["a1", "c2"], ["sum"], "add"),
        helper.make_node("Exp", ["zero"], ["one"], "constant"),
        helper.make_node("Conv", ["sum", "w3"], ["c3"], "conv3", pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["c3", "one"], ["scaled"], "scale"),
        helper.make_node("Add", ["sum", "scaled"], ["last"], "add2"),
        helper.make_node("GlobalAveragePool", ["last"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["features"], "flatten"),
        helper.make_node("ReduceSum", ["camera"], ["total"], "total", keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"], "positive"),
        helper.make_node("If", ["positive"], ["turned"], "if", then_branch=then, else_branch=otherwise),
        helper.make_node("Add", ["turned", "camera"], ["joined"], "join"),
        helper.make_node("MatMul", ["joined", "w4"], ["logits"], "head"),
        helper.make_node("ArgMax", ["logits"], ["class"], "class", axis=1),
    ]
    shapes = {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (4, 4, 3, 3), "w4": (4, 3)}
    weights = {name: 0.3 * rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    weights["zero"] = np.zeros((), np.float32)
    graph = helper.make_graph(
        nodes,
        "branched",
        [
            helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, 8, 8]),
            helper.make_tensor_value_info("camera", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3]),
            helper.make_tensor_value_info("side", TensorProto.FLOAT, [1, 4, 8, 8]),
            helper.make_tensor_value_info("class", TensorProto.INT64, [1, 1]),
        ],
        [
            numpy_helper.from_array(value, name)
            for name, value in (weights | {"zero": np.zeros((), np.float32)}).items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


UNITS = [{"frames"}, {"c1"}, {"a1"}, {"c2"}, {"sum"}, {"last"}, {"pooled", "features"}, {"camera"}, {"logits"}, {"w2"}]
ROUNDED = Encoding(np.array(STEP, np.float32), np.array(128, np.uint8), 8, signed=False, axis=None)
ACTIVATIONS = {name: ROUNDED for unit in [*UNITS, {"side"}] for name in unit if name != "w2"}


def samples(count: int = 6) -> list[Feed]:
    rng = np.random.default_rng(1)
    shapes = {"frames": (1, 3, 8, 8), "camera": (1, 4)}
    return [{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(count)]


def rounded_weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    [weight] = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == "w2"]
    return {"w2": np.round(weight / STEP) * STEP}


def alone(units: list[set[str]], progress: Callable[[str, int, int], None] = silent) -> list[float]:
    model = branched()
    work = multiplications(model)
    return errors_alone(model, ACTIVATIONS, rounded_weights(model), units, samples(), work, progress)


def from_the_input(units: list[set[str]]) -> list[float]:
    """One session for all units, and each run from the input on."""
    model, found = branched(), []
    switched = Switched(model, ACTIVATIONS, rounded_weights(model), units)
    exact = switched.first_outputs(samples(), [])
    for number in range(len(units)):
        changed = switched.first_outputs(samples(), [number])
        found.append(float(((changed - exact) ** 2).mean() / (exact**2).mean()))
    return found


def test_each_units_error_is_that_of_runs_from_the_input_on() -> None:
    errors = alone(UNITS)
    assert errors == pytest.approx(from_the_input(UNITS), rel=1e-3)
    assert min(errors) > 1e-7


def test_what_the_first_output_does_not_depend_on_is_not_sensitive() -> None:
    assert alone([{"side"}, {"c2"}])[0] == 0.0


def test_without_room_for_activations_every_run_begins_at_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = alone(UNITS)
    monkeypatch.setattr(sensitivity, "KEPT_BYTES", 0)
    assert alone(UNITS) == pytest.approx(kept, rel=1e-3)


def test_progress_counts_units() -> None:
    steps: list[tuple[str, int, int]] = []
    alone(UNITS, lambda *step: steps.append(step))
    assert steps == [("sensitivity", done, len(UNITS)) for done in range(1, len(UNITS) + 1)]


def run(model: onnx.ModelProto, given: Feed) -> list[np.ndarray]:
    feed = {value.name: given[value.name] for value in model.graph.input}
    return run_once(cpu_session(model.SerializeToString()), feed)


def test_the_rest_of_a_graph_from_any_cut_gives_its_outputs() -> None:
    model, [sample, *_] = branched(), samples()
    expected = dict(zip(OUTPUTS, run(model, sample), strict=True))
    places = cuts(model, dict.fromkeys(names(model), 1.0), len(model.graph.node), NO_LIMIT)
    assert len(places) > 10
    for place in places:
        kept = dict(zip(place.kept, run(part(model, place.kept), sample) if place.kept else [], strict=True))
        wanted = [name for name in OUTPUTS if name not in kept]
        found = zip(wanted, run(part(model, wanted, place.kept), sample | kept), strict=True)
        assert all(np.allclose(value, expected[name], atol=1e-5) for name, value in found)


def test_a_part_holds_only_the_nodes_and_weights_that_it_needs() -> None:
    rest = part(branched(), ["logits"], ["features"])
    assert [node.name for node in rest.graph.node] == ["total", "positive", "if", "join", "head"]
    assert {tensor.name for tensor in rest.graph.initializer} == {"zero", "w4"}
    assert {value.name for value in rest.graph.input} == {"camera", "features"}


def test_no_more_is_kept_at_a_cut_than_there_is_room_for() -> None:
    model = part(branched(), ["logits"])
    kept = {name for place in cuts(model, dict.fromkeys(names(model), 1.0), 17, 64) for name in place.kept}
    assert kept
    assert kept <= {"pooled", "features", "total", "positive", "turned", "joined"}


@pytest.mark.parametrize("parts", [1, 3, 8, 16])
def test_a_graph_has_as_many_parts_as_wanted_where_each_has_work(parts: int) -> None:
    model = branched()
    assert len(cuts(model, dict.fromkeys(names(model), 1.0), parts, NO_LIMIT)) == parts
    assert len(cuts(model, {"conv1": 1.0}, parts, NO_LIMIT)) == min(parts, 2)
    assert len(cuts(model, {}, parts, NO_LIMIT)) == 1


def test_a_graph_of_unknown_shapes_is_not_cut() -> None:
    model = part(branched(), ["logits"])
    del model.graph.value_info[:]
    assert [place.position for place in cuts(model, dict.fromkeys(names(model), 1.0), 8, NO_LIMIT)] == [0]


def names(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node]


def test_a_node_reads_what_its_branches_take_from_around_it() -> None:
    [node] = [node for node in branched().graph.node if node.op_type == "If"]
    assert sorted(reads(node)) == ["features", "features", "positive"]


def test_no_more_samples_are_in_memory_than_are_worked_on() -> None:
    alive: set[int] = set()
    most = 0

    def make(number: int) -> Feed:
        nonlocal most
        feed = samples(1)[0]
        alive.add(number)
        weakref.finalize(feed["frames"], alive.discard, number)
        most = max(most, len(alive))
        return feed

    model = branched()
    Switched(model, {}, {}, []).first_outputs(head(Feeds(make, 1000), 100), [])
    assert 0 < most <= 2 * usable_cores() + 1
