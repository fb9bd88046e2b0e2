"""The static rungs: each is what its recipe says, is told in facts and files, and gives the same bytes each time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType

import model_fixtures
from dms_operator.api.errors import QuantizationFailed, ToolchainUnavailable
from dms_operator.api.quantization import StaticRecipe
from dms_operator.api.stages import StageResult
from dms_operator.pipeline.accumulators import coarse_layers
from dms_operator.pipeline.calibration import calibrate
from dms_operator.pipeline.encodings import decoded_weights, overrides_json, read_encodings
from dms_operator.pipeline.layer_costs import cycles_by_node, layer_costs
from dms_operator.pipeline.mixed import activation_units, multiplications, search, weight_units
from dms_operator.pipeline.progress import silent
from dms_operator.pipeline.quantizer import prepare, quantize
from dms_operator.pipeline.schemes import scheme_for, weight_overrides
from dms_operator.pipeline.session import cpu_session, run_once
from dms_operator.pipeline.switches import Switched
from dms_operator.toolchains.qnn import provider
from pipeline.stages import Stages, refused, succeeded, variant_of

INT8 = {"precision": "int8", "method": "static"}
INT4 = {"precision": "int4", "method": "static"}
TYPES = onnx.TensorProto
Make = Callable[..., StageResult]
"""The fields of a QuantizeRecipe, and by name those of its StaticRecipe."""


@pytest.fixture(scope="module")
def prepared_stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stages, str, str]:
    """A resolved net and its reference, which every test of this file shares."""
    stages = Stages(tmp_path_factory.mktemp("stages"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(stages.root))
        dataset = model_fixtures.tiny_dataset(stages.root / "data.npz", 160)
        resolved = succeeded(stages.resolve(model_fixtures.layernorm_net(stages.root / "net.onnx"), dataset)).artifact
        assert resolved is not None
        reference = succeeded(stages.quantize(resolved.digest)).artifact
        assert reference is not None
    return stages, resolved.digest, reference.digest


@pytest.fixture
def make(prepared_stages: tuple[Stages, str, str], monkeypatch: pytest.MonkeyPatch) -> Make:
    stages, resolved, reference = prepared_stages
    monkeypatch.setenv("DMS_FILE_ROOTS", str(stages.root))

    def run(fields: dict[str, Any], **static: Any) -> StageResult:
        wanted = StaticRecipe(**static) if static else None
        return stages.quantize(resolved, reference=reference, static=wanted, **fields)

    return run


def files(stages: tuple[Stages, str, str], result: StageResult) -> dict[str, Path]:
    return stages[0].files(succeeded(result))


def data_types(model: onnx.ModelProto) -> set[int]:
    return {tensor.data_type for tensor in model.graph.initializer}


@pytest.mark.parametrize(
    ("fields", "static", "scheme", "types"),
    [
        (INT8, {"activation_bits": 16}, "w8a16 per-channel", {TYPES.INT8, TYPES.UINT16}),
        (INT8, {"per_channel": False}, "w8a8 per-tensor", {TYPES.INT8, TYPES.UINT8}),
        (INT8, {"symmetric_activations": True}, "w8a8 per-channel symmetric", {TYPES.INT8, TYPES.UINT8}),
        (INT4, {"activation_bits": 8}, "w4a8 per-channel", {TYPES.INT4, TYPES.UINT8}),
        (INT4, {"per_channel": False}, "w4a16 per-tensor", {TYPES.INT4, TYPES.UINT16}),
        (INT4, {"rounding": "learned"}, "w4a16 per-channel", {TYPES.INT4, TYPES.UINT16}),
    ],
)
def test_every_form_is_in_the_file_and_keeps_the_accuracy(
    fields: dict[str, Any],
    static: dict[str, Any],
    scheme: str,
    types: set[int],
    make: Make,
    prepared_stages: tuple[Stages, str, str],
) -> None:
    result = make(fields, **static)
    assert variant_of(result).scheme == scheme
    assert variant_of(result).accuracy_drop <= 0.03
    assert types <= data_types(onnx.load(files(prepared_stages, result)["model.onnx"]))


def test_symmetric_activations_have_their_zero_in_the_middle(
    make: Make, prepared_stages: tuple[Stages, str, str]
) -> None:
    model = onnx.load(files(prepared_stages, make(INT8, symmetric_activations=True))["model.onnx"])
    assert {int(each.zero_point) for each in read_encodings(model).activations.values()} == {128}


def test_what_was_done_is_told_in_the_notes(make: Make) -> None:
    facts = variant_of(make(INT8, equalize=True, correct_bias=True))
    assert "1 pairs of layers equalized; 1 biases corrected" in facts.notes


@pytest.mark.parametrize(
    ("fields", "static"),
    [
        ({"precision": "fp16", "method": "cast"}, {}),
        ({"precision": "int8", "method": "dynamic", "toolchain": "onnxruntime"}, {}),
        *(({**INT8, "calibration": calibration}, {}) for calibration in ("percentile", "entropy", "mse")),
        (INT8, {"per_channel": False, "symmetric_activations": True}),
        (INT8, {"equalize": True, "correct_bias": True}),
        (INT8, {"activation_bits": 16}),
        (INT8, {"mixed": True, "max_accuracy_drop": 0.0}),
        (INT4, {"rounding": "learned", "equalize": True}),
    ],
)
def test_the_same_samples_give_the_same_bytes(
    fields: dict[str, Any], static: dict[str, Any], make: Make, prepared_stages: tuple[Stages, str, str]
) -> None:
    first, second = make(fields, **static), make({**fields, "metric": "macroF1"}, **static)
    assert not succeeded(second).cached, "the second was made, too"
    one, other = files(prepared_stages, first), files(prepared_stages, second)
    assert one.keys() == other.keys()
    for name in one.keys() - {"sensitivity.json"}:  # whose drop is counted in the metric
        assert one[name].read_bytes() == other[name].read_bytes(), name


@pytest.mark.parametrize(
    ("fields", "static", "message"),
    [
        ({**INT8, "toolchain": "onnxruntime"}, {"activation_bits": 16}, "has kernels for 8-bit activations alone"),
        ({**INT8, "toolchain": "onnxruntime"}, {"mixed": True}, "has kernels for 8-bit activations alone"),
        (INT8, {"mixed": True, "activation_bits": 16}, "nothing left to widen"),
    ],
)
def test_what_cannot_be_made_is_refused(
    fields: dict[str, Any], static: dict[str, Any], message: str, make: Make
) -> None:
    assert message in refused(make(fields, **static), "QuantizationFailed")


def test_encodings_are_written_as_quantization_overrides(make: Make, prepared_stages: tuple[Stages, str, str]) -> None:
    found = files(prepared_stages, make(INT8))
    written = json.loads(found["encodings.json"].read_text())
    [frames] = written["activation_encodings"]["frames"]
    assert (frames["bitwidth"], frames["is_symmetric"], frames["dtype"]) == (8, "False", "int")
    assert frames["min"] <= 0 <= frames["max"]
    assert frames["max"] - frames["min"] == pytest.approx(255 * frames["scale"])
    weights = written["param_encodings"]["conv1_weight"]
    assert len(weights) == 8
    assert {(each["bitwidth"], each["offset"], each["is_symmetric"]) for each in weights} == {(8, -128, "True")}
    assert {"activation_encodings", "param_encodings"} == set(written)


def test_decoded_weights_are_within_half_a_step_of_the_float_ones(
    make: Make, prepared_stages: tuple[Stages, str, str]
) -> None:
    model = onnx.load(files(prepared_stages, make(INT4))["model.onnx"])
    source = onnx.load(prepared_stages[0].root / "net.onnx")
    original = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    encodings = read_encodings(model).weights
    decoded = dict(decoded_weights(model))
    assert encodings["conv2_weight"].bits == 4
    step = encodings["conv2_weight"].scale.reshape(-1, 1, 1, 1)
    assert (np.abs(decoded["conv2_weight"] - original["conv2_weight"]) <= step * 0.5 + 1e-6).all()
    assert overrides_json(read_encodings(model))["param_encodings"]["conv2_weight"][0]["offset"] == -8


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A net prepared and quantized as a whole, at 8 and 4 bits."""
    directory = tmp_path_factory.mktemp("mixed")
    feeds = [{"frames": np.random.default_rng(number).random((1, 3, 16, 16), np.float32)} for number in range(16)]
    found: dict[str, Any] = {"feeds": feeds}
    for precision in ("int8", "int4"):
        scheme = scheme_for("qnn", precision)
        source = model_fixtures.layernorm_net(directory / "net.onnx")
        prepared = prepare(source, directory / f"{precision}.prepared.onnx", scheme)
        ranges = calibrate(prepared, feeds, len(feeds), "minmax", scheme.activation_bits, silent)
        target = directory / f"{precision}.onnx"
        quantize(prepared, target, scheme, ranges, weight_overrides(scheme, onnx.load(prepared)))
        found[precision] = (onnx.load(prepared), onnx.load(target), scheme)
    return found


def test_all_switches_on_is_the_quantized_model_and_all_off_the_float_one(quantized: dict[str, Any]) -> None:
    model, qdq, _ = quantized["int8"]
    encodings, weights, feeds = read_encodings(qdq), dict(decoded_weights(qdq)), quantized["feeds"]
    groups = [{name} for name in encodings.activations] + [{name} for name in weights if name.endswith("weight")]
    switched = Switched(model, encodings.activations, weights, groups)

    def plain(net: onnx.ModelProto) -> np.ndarray:
        session = cpu_session(net.SerializeToString())
        return np.stack([run_once(session, feed)[0][0] for feed in feeds])

    assert switched.first_outputs(feeds, []) == pytest.approx(plain(model), abs=1e-5)
    step = float(encodings.activations["logits"].scale)
    assert switched.first_outputs(feeds, range(len(groups))) == pytest.approx(plain(qdq), abs=3.5 * step)


def choose(quantized: dict[str, Any], precision: str, drop_of: Any, accepted: float = 0.01) -> Any:
    model, qdq, scheme = quantized[precision]
    encodings, weights = read_encodings(qdq), dict(decoded_weights(qdq))
    return search(model, scheme, encodings, weights, quantized["feeds"], drop_of, accepted, silent)


def test_nothing_is_widened_where_nothing_is_lost(quantized: dict[str, Any]) -> None:
    mixture = choose(quantized, "int8", lambda outputs: 0.0)
    assert mixture.overrides == {}
    assert mixture.summary.startswith("none of")


@pytest.mark.parametrize(("precision", "wide"), [("int8", QuantType.QUInt16), ("int4", QuantType.QInt8)])
def test_everything_is_widened_where_nothing_else_is_enough(
    precision: str, wide: QuantType, quantized: dict[str, Any]
) -> None:
    mixture = choose(quantized, precision, lambda outputs: 1.0)
    assert all(row.widened for row in mixture.rows)
    assert {each[0]["quant_type"] for each in mixture.overrides.values()} == {wide}
    assert mixture.drop == 1.0


def test_only_as_many_are_widened_as_the_drop_needs(quantized: dict[str, Any]) -> None:
    model, qdq, _ = quantized["int8"]
    encodings, weights = read_encodings(qdq), dict(decoded_weights(qdq))
    groups = [set(unit.tensors) for unit in activation_units(model, encodings, multiplications(model))]
    exact = Switched(model, encodings.activations, weights, groups).first_outputs(quantized["feeds"], [])

    def distance(outputs: np.ndarray) -> float:
        return float(np.abs(outputs - exact).mean())

    def drop_of(outputs: np.ndarray) -> float:
        drops.append(distance(outputs))
        return drops[-1]

    drops: list[float] = []
    choose(quantized, "int8", drop_of, 0.0)
    least_but_one = sorted(set(drops))[1]
    mixture = choose(quantized, "int8", distance, least_but_one)
    widened = [row for row in mixture.rows if row.widened]
    assert 0 < len(widened) < len(mixture.rows)
    assert mixture.drop <= least_but_one
    assert [row.error for row in mixture.rows] == sorted((row.error for row in mixture.rows), reverse=True)


def test_tensors_of_the_same_values_are_one_unit(quantized: dict[str, Any]) -> None:
    model, qdq, _ = quantized["int8"]
    units = activation_units(model, read_encodings(qdq), multiplications(model))
    names = [name for unit in units for name in unit.tensors]
    assert len(names) == len(set(names)) == len(read_encodings(qdq).activations)
    assert any({"features", "pooled"} <= set(unit.tensors) for unit in units)


def test_the_units_of_four_bit_weights_share_all_of_the_bytes(quantized: dict[str, Any]) -> None:
    model, _, scheme = quantized["int4"]
    units = weight_units(model, scheme)
    assert {unit.tensors[0] for unit in units} == {"conv1_weight", "conv2_weight"}
    assert sum(unit.cost for unit in units) == pytest.approx(1.0)


def test_rounding_is_learned_for_cpus_too(make: Make) -> None:
    facts = variant_of(make(INT8 | {"toolchain": "onnxruntime"}, rounding="learned", equalize=True, correct_bias=True))
    assert facts.accuracy_drop <= 0.02
    assert "weights learned" in facts.notes


def test_the_table_of_a_mixture_is_in_the_artifact(make: Make, prepared_stages: tuple[Stages, str, str]) -> None:
    result = make(INT8, mixed=True, max_accuracy_drop=0.01)
    table = json.loads(files(prepared_stages, result)["sensitivity.json"].read_text())
    assert {"simulatedDrop", "layers", "costModelUs"} == set(table)
    assert {"tensors", "operator", "cost", "error", "widened"} == set(table["layers"][0])
    assert "layers widened" in variant_of(result).notes
    assert f"cost model: {table['costModelUs']['mixed']:.0f} us" in variant_of(result).notes


def test_widening_is_priced_by_the_compilers_cost_model(quantized: dict[str, Any], tmp_path: Path) -> None:
    model, qdq, scheme = quantized["int8"]
    onnx.save_model(qdq, tmp_path / "narrow.onnx")
    onnx.save_model(model, tmp_path / "prepared.onnx")
    ranges = calibrate(tmp_path / "prepared.onnx", quantized["feeds"], 1, "minmax", 16, silent)
    quantize(
        tmp_path / "prepared.onnx", tmp_path / "wide.onnx", scheme.widened(), ranges, weight_overrides(scheme, model)
    )
    costs = layer_costs(tmp_path / "narrow.onnx", tmp_path / "wide.onnx", tmp_path, silent)
    assert costs.extra.keys() <= {node.name for node in model.graph.node}
    assert min(costs.extra.values()) >= 0 < max(costs.extra.values())
    assert 0 < costs.narrow_us < costs.wide_us


def test_nodes_that_became_one_operator_share_its_cycles() -> None:
    layers = [{"nodes": ["a", "b"], "cycles": 10}, {"nodes": ["b"], "cycles": 5}, {"nodes": [], "cycles": 99}]
    assert cycles_by_node(layers) == {"a": 5, "b": 10}


def test_without_the_compiler_multiplications_are_counted_and_the_notes_say_so(
    make: Make, prepared_stages: tuple[Stages, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ToolchainUnavailable("onnxruntime-qnn is not installed in this image")

    monkeypatch.setattr(provider, "_package", missing)
    result = make(INT8, mixed=True, max_accuracy_drop=0.02)
    assert "costs are multiplications: no cost model (onnxruntime-qnn is not installed" in variant_of(result).notes
    assert "costModelUs" not in json.loads(files(prepared_stages, result)["sensitivity.json"].read_text())


def test_a_scheme_says_which_toolchain_takes_what() -> None:
    with pytest.raises(QuantizationFailed, match="no static int4 scheme"):
        scheme_for("tidl", "int4", StaticRecipe())
    assert scheme_for("qnn", "int8", StaticRecipe(activation_bits=8)) == scheme_for("qnn", "int8")


def test_layers_that_sum_coarsely_on_the_htp_are_found(quantized: dict[str, Any]) -> None:
    _, qdq, _ = quantized["int8"]
    assert coarse_layers(qdq) == {}
    coarse = onnx.ModelProto.FromString(qdq.SerializeToString())
    for tensor in coarse.graph.initializer:
        if tensor.name == "conv2_weight_scale":
            values = onnx.numpy_helper.to_array(tensor) * 100
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
    assert list(coarse_layers(coarse)) == ["conv2"]
