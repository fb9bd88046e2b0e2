"""Models and samples that are unusual, but legal: each rung quantizes them, or says why not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dms_operator.api.quantization import StaticRecipe
from dms_operator.api.stages import VariantFacts
from dms_operator.pipeline.sampling import split
from pipeline.stages import Stages, refused, succeeded

RUNGS = [
    ("int8", {"equalize": True, "correct_bias": True}),
    ("int8", {"mixed": True, "max_accuracy_drop": 0.0}),
    ("int4", {"rounding": "learned", "equalize": True}),
    ("int4", {"mixed": True}),
]
OTHERS = [
    {"precision": "fp16", "method": "cast"},
    {"precision": "int8", "method": "dynamic", "toolchain": "onnxruntime"},
    {"precision": "int8", "toolchain": "onnxruntime"},
    {"precision": "int8", "toolchain": "tidl"},
    {"precision": "int8", "toolchain": "tidl", "static": StaticRecipe(activation_bits=16)},
    {"precision": "int8", "static": StaticRecipe(per_channel=False, symmetric_activations=True)},
    {"precision": "int4", "static": StaticRecipe(per_channel=False)},
]


def several_inputs_and_outputs(path: Path, dead: bool = False) -> Path:
    """An image and an int64 number in, logits and an int64 class out; one weight is used twice, one is zero."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["frames", "shared", "bias"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["a1"]),
        helper.make_node("Conv", ["a1", "shared", "bias"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c2", "zero"], ["c3"], ""),
        helper.make_node("Add", ["c2", "c3"], ["sum"], ""),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"], ""),
        helper.make_node("Flatten", ["pooled"], ["flat"], ""),
        helper.make_node("Gather", ["table", "camera"], ["row"], ""),
        helper.make_node("Add", ["flat", "row"], ["features"], ""),
        helper.make_node("MatMul", ["features", "head"], ["logits"], ""),
        helper.make_node("ArgMax", ["logits"], ["class"], "", axis=1),
    ]
    weights = {
        "shared": rng.normal(size=(3, 3, 3, 3)),
        "bias": rng.normal(size=3),
        "zero": np.zeros((3, 3, 1, 1)),
        "table": rng.normal(size=(4, 3)),
        "head": np.zeros((3, 3)) if dead else rng.normal(size=(3, 3)),
    }
    graph = helper.make_graph(
        nodes,
        "odd",
        [
            helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, 8, 8]),
            helper.make_tensor_value_info("camera", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3]),
            helper.make_tensor_value_info("class", TensorProto.INT64, [1, 1]),
        ],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def samples(path: Path, labels: np.ndarray | None = None, scale: float = 1.0) -> Path:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 48) if labels is None else labels
    frames = (scale * rng.normal(size=(48, 3, 8, 8))).astype(np.float32)
    np.savez(path, frames=frames, camera=rng.integers(0, 4, (48, 1)), labels=labels.astype(np.int64))
    return path


def made(stages: Stages, model: Path, data: Path, **fields: Any) -> VariantFacts:
    resolved = succeeded(stages.resolve(model, data)).artifact
    assert resolved is not None
    reference = succeeded(stages.quantize(resolved.digest)).artifact
    assert reference is not None
    fields = {"method": "static", "reference": reference.digest} | fields
    variant = succeeded(stages.quantize(resolved.digest, **fields)).variant
    assert variant is not None
    return variant


@pytest.mark.parametrize("fields", OTHERS)
def test_several_inputs_and_integers_on_every_other_rung(fields: dict[str, Any], stages: Stages) -> None:
    model = several_inputs_and_outputs(stages.root / "odd.onnx")
    variant = made(stages, model, samples(stages.root / "data.npz"), **fields)
    assert variant.accuracy.agreement is not None
    assert variant.accuracy.agreement > 0.9


@pytest.mark.parametrize(("precision", "static"), RUNGS)
def test_several_inputs_integers_shared_and_zero_weights(
    precision: str, static: dict[str, Any], stages: Stages
) -> None:
    model = several_inputs_and_outputs(stages.root / "odd.onnx")
    variant = made(stages, model, samples(stages.root / "data.npz"), precision=precision, static=StaticRecipe(**static))
    assert variant.accuracy.agreement is not None
    assert variant.accuracy.agreement > 0.6


@pytest.mark.parametrize(("precision", "static"), RUNGS)
def test_constant_outputs_are_scored(precision: str, static: dict[str, Any], stages: Stages) -> None:
    model = several_inputs_and_outputs(stages.root / "odd.onnx", dead=True)
    variant = made(stages, model, samples(stages.root / "data.npz"), precision=precision, static=StaticRecipe(**static))
    assert 0 < variant.accuracy.value < 1
    assert (variant.accuracy.agreement, variant.accuracy_drop) == (1.0, 0.0)


def loops(path: Path) -> Path:
    """Three rounds of a layer in a Loop, whose weight lies outside of it."""
    rng = np.random.default_rng(0)
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "inner"], ["product"], "product"),
            helper.make_node("Relu", ["product"], ["after"], "after"),
            helper.make_node("Identity", ["go"], ["goes_on"], "go"),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [1, 3]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [1, 3]),
        ],
    )
    nodes = [
        helper.make_node("Conv", ["frames", "filter"], ["c1"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c1"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Loop", ["rounds", "start", "flat"], ["turned"], "loop", body=body),
        helper.make_node("MatMul", ["turned", "head"], ["logits"], "head"),
    ]
    weights = {
        "filter": rng.normal(size=(3, 3, 3, 3)).astype(np.float32),
        "inner": np.eye(3, dtype=np.float32),
        "head": rng.normal(size=(3, 3)).astype(np.float32),
        "rounds": np.array(3),
        "start": np.array(True),
    }
    graph = helper.make_graph(
        nodes,
        "loops",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    "fields",
    [
        {"precision": "int8", "toolchain": "tidl"},
        {"precision": "int8", "static": StaticRecipe(equalize=True, rounding="learned")},
        {"precision": "int8", "static": StaticRecipe(correct_bias=True, mixed=True, max_accuracy_drop=0.0)},
    ],
)
def test_a_loop_keeps_the_weights_that_its_body_takes_from_around_it(fields: dict[str, Any], stages: Stages) -> None:
    variant = made(stages, loops(stages.root / "loops.onnx"), samples(stages.root / "data.npz"), **fields)
    assert variant.accuracy.agreement is not None
    assert variant.accuracy.agreement > 0.8


def test_a_net_without_convolutions_says_that_none_of_its_weights_has_four_bits(stages: Stages) -> None:
    nodes = [
        helper.make_node("Flatten", ["frames"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "head"], ["logits"], "head"),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.random.default_rng(0).normal(size=(192, 3)).astype(np.float32), "head")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, stages.root / "linear.onnx")
    note = "no weight is 4 bits wide"
    assert note in made(stages, stages.root / "linear.onnx", samples(stages.root / "data.npz"), precision="int4").notes
    odd = several_inputs_and_outputs(stages.root / "odd.onnx")
    assert note not in made(stages, odd, stages.root / "data.npz", precision="int4").notes


def test_labels_of_one_class_only_are_refused_because_they_prove_nothing(stages: Stages) -> None:
    data = samples(stages.root / "data.npz", labels=np.full(48, 2))
    model = several_inputs_and_outputs(stages.root / "odd.onnx")
    resolved = succeeded(stages.resolve(model, data)).artifact
    assert resolved is not None
    message = refused(stages.quantize(resolved.digest), "DatasetInvalid")
    assert "all labels are 2: a net that always answers this would score best" in message
    assert stages.quantize(resolved.digest, metric="cosine").failure is None


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "mse", "entropy"])
def test_samples_of_outliers_alone_give_ranges(calibration: str, stages: Stages) -> None:
    model = several_inputs_and_outputs(stages.root / "odd.onnx")
    data = samples(stages.root / "data.npz", scale=1e6)
    variant = made(stages, model, data, precision="int8", calibration=calibration)
    assert variant.accuracy.agreement is not None
    assert variant.accuracy.agreement > 0.6


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "mse", "entropy"])
def test_ranges_of_outliers_that_no_other_sample_has_show_in_the_score(calibration: str, stages: Stages) -> None:
    with np.load(samples(stages.root / "plain.npz")) as plain:
        arrays = dict(plain)
    arrays["frames"][split(48, 256, 1000, 0).calibration] *= 1e6
    np.savez(stages.root / "data.npz", **arrays)
    model = several_inputs_and_outputs(stages.root / "odd.onnx")
    variant = made(stages, model, stages.root / "data.npz", precision="int8", calibration=calibration)
    assert variant.accuracy.agreement is not None
    assert variant.accuracy.agreement < 0.5
