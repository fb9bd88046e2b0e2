"""Each variant is what its recipe says, and is scored on the same samples as the reference."""

from typing import Any

import numpy as np
import onnx
import pytest

import model_fixtures
from dms_operator.api.stages import QuantizeRecipe, VariantFacts
from dms_operator.pipeline.evaluate import Reference
from dms_operator.pipeline.quantize import choose_samples
from pipeline.stages import Stages, Writer, refused, succeeded

INT8 = {"precision": "int8", "method": "static"}


@pytest.fixture
def resolved(stages: Stages) -> str:
    return resolve(stages, model_fixtures.layernorm_net)


def resolve(stages: Stages, writer: Writer, samples: int = 200) -> str:
    dataset = model_fixtures.tiny_dataset(stages.root / "data.npz", samples)
    artifact = succeeded(stages.resolve(writer(stages.root / "net.onnx"), dataset)).artifact
    assert artifact is not None
    return artifact.digest


def quantized(stages: Stages, resolved: str, **fields: Any) -> tuple[VariantFacts, onnx.ModelProto]:
    reference = succeeded(stages.quantize(resolved)).artifact
    assert reference is not None
    result = succeeded(stages.quantize(resolved, reference=reference.digest, **fields))
    assert result.variant is not None
    return result.variant, onnx.load(stages.files(result)["model.onnx"])


def types_of(model: onnx.ModelProto) -> set[int]:
    return {weight.data_type for weight in model.graph.initializer}


def test_fp32_is_the_reference_and_keeps_its_outputs(stages: Stages, resolved: str) -> None:
    result = succeeded(stages.quantize(resolved, evaluation_samples=50))
    assert result.variant is not None
    assert (result.variant.scheme, result.variant.accuracy.value, result.variant.accuracy_drop) == ("float32", 1.0, 0.0)
    reference = Reference.load(stages.files(result))
    assert reference.outputs.shape == (50, 3)
    with np.load(stages.root / "data.npz") as data:
        assert (reference.outputs.argmax(axis=1) == data["labels"][reference.indices]).all()


def test_fp16_halves_the_weights_and_keeps_float32_outside(stages: Stages, resolved: str) -> None:
    facts, model = quantized(stages, resolved, precision="fp16", method="cast")
    assert facts.scheme == "float16"
    assert onnx.TensorProto.FLOAT16 in types_of(model)
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "mse", "entropy", None])
def test_static_int8_keeps_the_accuracy_by_every_calibration(
    calibration: str | None, stages: Stages, resolved: str
) -> None:
    facts, model = quantized(stages, resolved, **INT8, calibration=calibration)
    assert facts.scheme == "w8a8 per-channel"
    assert facts.calibration == (calibration or "minmax")
    assert facts.accuracy_drop <= 0.02
    assert facts.accuracy.agreement is not None
    assert facts.accuracy.agreement >= 0.98
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}


def test_for_the_htp_every_operator_is_quantized_and_layer_norm_scales_are_uint8(stages: Stages, resolved: str) -> None:
    _, model = quantized(stages, resolved, **INT8)
    producers = {name: node for node in model.graph.node for name in node.output}
    weights = {weight.name: weight for weight in model.graph.initializer}
    arithmetic = [node for node in model.graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    assert arithmetic
    for node in arithmetic:
        assert producers[node.input[0]].op_type == "DequantizeLinear", node.name
    [norm] = [node for node in arithmetic if node.op_type == "LayerNormalization"]
    assert weights[producers[norm.input[1]].input[0]].data_type == onnx.TensorProto.UINT8
    [conv, *_] = [node for node in arithmetic if node.op_type == "Conv"]
    dequantize = producers[conv.input[1]]
    assert weights[dequantize.input[0]].data_type == onnx.TensorProto.INT8
    assert weights[dequantize.input[1]].dims == weights[dequantize.input[0]].dims[:1]


def test_int4_packs_convolutions_and_leaves_matrix_products_at_int8(stages: Stages, resolved: str) -> None:
    facts, model = quantized(stages, resolved, precision="int4", method="static")
    assert facts.scheme == "w4a16 per-channel"
    assert {onnx.TensorProto.INT4, onnx.TensorProto.INT8} <= types_of(model)


def test_dynamic_int8_is_for_cpus(stages: Stages, resolved: str) -> None:
    facts, model = quantized(stages, resolved, precision="int8", method="dynamic", toolchain="onnxruntime")
    assert facts.scheme == "w8 dynamic"
    assert "DynamicQuantizeLinear" in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"precision": "int8", "method": "qat"}, "quantization-aware training"),
        ({"precision": "fp16", "method": "static"}, "fp16 is not made by the method static. Use cast"),
        ({"precision": "int8", "method": "dynamic"}, "CPUs only"),
        ({"precision": "int4", "method": "static", "toolchain": "tidl"}, "no static int4 scheme. It takes int8"),
    ],
)
def test_what_cannot_be_made_says_what_can(fields: dict[str, Any], message: str, stages: Stages, resolved: str) -> None:
    reference = succeeded(stages.quantize(resolved)).artifact
    assert reference is not None
    result = stages.quantize(resolved, reference=reference.digest, **fields)
    assert message in refused(result, "QuantizationFailed")


def test_a_variant_without_reference_is_refused(stages: Stages, resolved: str) -> None:
    assert "fp32 first" in refused(stages.quantize(resolved, **INT8), "QuantizationFailed")


def test_without_a_dataset_nothing_can_be_scored(stages: Stages) -> None:
    artifact = succeeded(stages.resolve(model_fixtures.tiny_classifier(stages.root / "net.onnx"))).artifact
    assert artifact is not None
    assert "spec.dataset.uri" in refused(stages.quantize(artifact.digest), "DatasetInvalid")


def test_a_short_dataset_is_noted_in_the_facts(stages: Stages) -> None:
    variant = succeeded(stages.quantize(resolve(stages, model_fixtures.tiny_classifier, samples=30))).variant
    assert variant is not None
    assert "the dataset has 30 samples" in variant.notes


def test_the_same_recipe_comes_from_the_cache_with_the_time_that_it_took_once(stages: Stages, resolved: str) -> None:
    first, second = stages.quantize(resolved), stages.quantize(resolved)
    assert (first.cached, second.cached) == (False, True)
    assert (first.artifact, first.variant) == (second.artifact, second.variant)
    assert first.variant is not None
    assert first.variant.seconds is not None
    assert 0 < first.variant.seconds <= first.seconds


def test_quantizing_twice_gives_the_same_bytes(stages: Stages, resolved: str) -> None:
    _, first = quantized(stages, resolved, **INT8)
    _, second = quantized(stages, resolved, **INT8, seed=0, calibration="minmax")
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_the_variants_artifact_carries_the_reference_too(stages: Stages, resolved: str) -> None:
    fp32 = succeeded(stages.quantize(resolved))
    assert fp32.artifact is not None
    int8 = succeeded(stages.quantize(resolved, reference=fp32.artifact.digest, **INT8))
    ours, theirs = Reference.load(stages.files(int8)), Reference.load(stages.files(fp32))
    assert (ours.indices == theirs.indices).all()
    assert (ours.outputs == theirs.outputs).all()


@pytest.mark.parametrize("calibration", [1, 20, 40, 400])
def test_scores_stay_on_the_references_samples_whatever_calibrates(calibration: int) -> None:
    recipe = QuantizeRecipe(
        image="test",
        resolved="sha256:" + "0" * 64,
        precision="int8",
        method="static",
        toolchain="qnn",
        calibration_samples=calibration,
    )
    reference = Reference(np.arange(0, 40, 2), np.zeros((20, 3)))
    chosen = choose_samples(recipe, 40, reference)
    assert (chosen.evaluation == reference.indices).all()
    assert not set(chosen.calibration) & set(chosen.evaluation)
    assert len(chosen.calibration) == min(calibration, 20)


def test_a_label_free_score_is_one_for_the_reference_itself(stages: Stages, resolved: str) -> None:
    variant = succeeded(stages.quantize(resolved, metric="cosine")).variant
    assert variant is not None
    assert variant.accuracy.value == pytest.approx(1.0)
