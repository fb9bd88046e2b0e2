"""ONNX as people export it: a batch axis left open, half precision, types that no NPU has."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

import model_fixtures
from dms_operator.api.stages import TensorSpec
from dms_operator.pipeline.onnx_file import tensors
from pipeline.stages import Stages, refused, succeeded, variant_of

FRAMES = [TensorSpec(name="frames", shape=[1, 3, 16, 16])]
HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


class Reading(torch.nn.Module):
    """A convolution on each frame and an LSTM over them: the batch axis passes through reshapes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frame = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, 2, 1), torch.nn.ReLU(), torch.nn.Flatten())
        self.time = torch.nn.LSTM(64, 8, batch_first=True)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        count, length = clip.shape[:2]
        each = self.frame(clip.flatten(0, 1)).view(count, length, -1)
        scores: torch.Tensor = self.head(self.time(each)[0][:, -1])
        return scores


CLIP = torch.linspace(-1, 1, 4 * 64).reshape(1, 4, 1, 8, 8)


def with_open_batch(path: Path, *names: str) -> Path:
    """The net as torch writes it with dynamic_axes."""
    axes = {"clip": {0: "batch"}, "scores": {0: "batch"}}
    torch.onnx.export(
        Reading().eval(), (CLIP,), path, dynamo=False, opset_version=17,
        input_names=["clip"], output_names=["scores"], dynamic_axes=axes,
    )  # fmt: skip
    return path


def test_a_declared_shape_closes_the_open_axes_of_an_onnx_model(stages: Stages) -> None:
    source = with_open_batch(stages.root / "net.onnx")
    declared = [TensorSpec(name="clip", shape=[1, 4, 1, 8, 8])]
    result = stages.resolve(source, inputs=declared)
    facts = succeeded(result).model
    assert facts is not None
    assert facts.inputs == declared
    assert [spec.shape for spec in facts.outputs] == [[1, 3]]
    closed = onnx.load(stages.files(result)["model.onnx"])
    shapes = [value.type.tensor_type.shape for value in [*closed.graph.input, *closed.graph.output]]
    assert [[axis.dim_value for axis in shape.dim] for shape in shapes] == [[1, 4, 1, 8, 8], [1, 3]]
    assert not any(axis.dim_param for value in closed.graph.value_info for axis in value.type.tensor_type.shape.dim)
    before, after = (
        onnxruntime.InferenceSession(path).run(None, {"clip": CLIP.numpy()})[0]
        for path in (source, stages.files(result)["model.onnx"])
    )
    assert np.array_equal(before, after)


def test_an_open_axis_is_refused_with_the_lines_to_write(stages: Stages) -> None:
    message = refused(stages.resolve(with_open_batch(stages.root / "net.onnx")), "ModelShapeMismatch")
    assert "axis 0 of clip (batch)" in message
    assert "spec.model.inputs: [{name: clip, shape: [1, 4, 1, 8, 8]}]" in message


def test_the_lines_to_write_leave_what_nobody_can_guess_to_the_user(stages: Stages) -> None:
    model = onnx.load(model_fixtures.with_dynamic_axes(stages.root / "net.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    onnx.save_model(model, stages.root / "net.onnx")
    message = refused(stages.resolve(stages.root / "net.onnx"), "ModelShapeMismatch")
    assert "shape: [1, 3, 16, <width>]" in message


def test_the_lines_to_write_say_a_type_that_is_not_the_default(stages: Stages) -> None:
    model = onnx.load(model_fixtures.with_dynamic_axes(stages.root / "net.onnx"))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.input[0].name = "bytes"
    model.graph.node.insert(0, helper.make_node("Cast", ["bytes"], ["frames"], "read", to=TensorProto.FLOAT))
    onnx.save_model(model, stages.root / "net.onnx")
    message = refused(stages.resolve(stages.root / "net.onnx"), "ModelShapeMismatch")
    assert "{name: bytes, shape: [1, 3, 16, 16], dtype: uint8}" in message


@pytest.mark.parametrize(
    "declared",
    [
        [TensorSpec(name="frames", shape=[1, 3, 16])],
        [TensorSpec(name="frames", shape=[1, 3, 32, 16])],
        [TensorSpec(name="image", shape=[1, 3, 16, 16])],
    ],
)
def test_a_declared_shape_that_contradicts_the_model_shows_both_sides(
    declared: list[TensorSpec], stages: Stages
) -> None:
    source = model_fixtures.with_dynamic_axes(stages.root / "net.onnx")
    message = refused(stages.resolve(source, inputs=declared), "ModelShapeMismatch")
    assert f"{declared[0].name} {declared[0].shape}" in message
    assert "frames [batch, 3, 16, 16]" in message


def in_halves(path: Path, half: int = TensorProto.FLOAT16) -> Path:
    """The tiny classifier as `model.half()` exports it: weights, input and output are halves, and a cast is within."""
    model = onnx.load(model_fixtures.tiny_classifier(path))
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(weight)
            weight.CopyFrom(helper.make_tensor(weight.name, half, values.shape, values.flatten().tolist()))
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        value.type.tensor_type.elem_type = half
    last = model.graph.node[-1]
    last.output[0], answer = "uncast", last.output[0]
    model.graph.node.append(helper.make_node("Cast", ["uncast"], ["wide"], "widen", to=TensorProto.FLOAT))
    model.graph.node.append(helper.make_node("Cast", ["wide"], [answer], "narrow", to=half))
    onnx.save_model(model, path)
    return path


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("declared", [None, FRAMES])
def test_a_model_of_halves_becomes_the_float_model_of_the_same_weights(
    declared: list[TensorSpec] | None, half: int, stages: Stages
) -> None:
    result = stages.resolve(in_halves(stages.root / "net.onnx", half), inputs=declared)
    facts = succeeded(result).model
    assert facts is not None
    assert facts.inputs == FRAMES
    assert [spec.dtype for spec in facts.outputs] == ["float32"]
    wide = onnx.load(stages.files(result)["model.onnx"])
    assert not {tensor.data_type for tensor in tensors(wide)} & set(HALVES)
    assert not [node.op_type for node in wide.graph.node if node.op_type == "Cast"]
    given = {
        weight.name: onnx.numpy_helper.to_array(weight)
        for weight in onnx.load(stages.root / "net.onnx").graph.initializer
    }
    for weight in wide.graph.initializer:
        assert np.array_equal(onnx.numpy_helper.to_array(weight), given[weight.name].astype(np.float32))


def test_declared_halves_are_the_halves_of_the_file(stages: Stages) -> None:
    source = in_halves(stages.root / "net.onnx")
    declared = [TensorSpec(name="frames", shape=[1, 3, 16, 16], dtype="float16")]
    succeeded(stages.resolve(source, inputs=declared))
    refused(stages.resolve(model_fixtures.tiny_classifier(source), inputs=declared), "ModelShapeMismatch")


@pytest.mark.parametrize("toolchain", ["qnn", "tidl"])
def test_a_model_of_halves_is_quantized_like_the_float_one(toolchain: str, stages: Stages) -> None:
    data = model_fixtures.tiny_dataset(stages.root / "data.npz")
    sizes = []
    for writer in (model_fixtures.tiny_classifier, in_halves):
        resolved = succeeded(stages.resolve(writer(stages.root / "net.onnx"), data)).artifact
        assert resolved is not None
        reference = succeeded(stages.quantize(resolved.digest)).artifact
        assert reference is not None
        int8 = {"precision": "int8", "method": "static", "toolchain": toolchain, "reference": reference.digest}
        made = stages.quantize(resolved.digest, **int8)
        sizes.append(variant_of(made).size_bytes)
    assert sizes[1] <= 1.05 * sizes[0]


def test_another_element_type_is_called_by_its_name(stages: Stages) -> None:
    model = onnx.load(model_fixtures.tiny_classifier(stages.root / "net.onnx"))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    (stages.root / "net.onnx").write_bytes(model.SerializeToString())
    message = refused(stages.resolve(stages.root / "net.onnx"), "ModelInvalid")
    assert "the input frames is of type DOUBLE" in message


class Halved(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frame = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))
        self.head = torch.nn.Linear(4, 3)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.frame(frames).flatten(1))
        return scores


def test_a_program_of_halves_is_quantized_and_not_trained(stages: Stages) -> None:
    data = model_fixtures.tiny_dataset(stages.root / "data.npz")
    example = (torch.zeros(FRAMES[0].shape, dtype=torch.float16),)
    torch.export.save(torch.export.export(Halved().half().eval(), example), stages.root / "net.pt2")
    resolved = succeeded(stages.resolve(stages.root / "net.pt2", data)).artifact
    assert resolved is not None
    reference = succeeded(stages.quantize(resolved.digest)).artifact
    assert reference is not None
    int8 = {"precision": "int8", "reference": reference.digest}
    variant_of(stages.quantize(resolved.digest, **int8, method="static"))
    message = refused(stages.quantize(resolved.digest, **int8, method="qat"), "QuantizationFailed")
    assert "needs float32 weights, but frame.0.bias is in half precision. Export the program before .half()" in message


class FlatAttention(torch.nn.Module):
    """Attention without an axis of heads, which torch 2.13's exporter does not take."""

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(words, words, words)


def test_an_operator_that_torch_cannot_export_is_told_by_name_and_cause(stages: Stages) -> None:
    torch.export.save(torch.export.export(FlatAttention(), (torch.zeros(1, 4, 8),)), stages.root / "net.pt2")
    message = refused(stages.resolve(stages.root / "net.pt2"), "ModelInvalid")
    assert "(scaled_dot_product_attention: only 4D query, key, and value are supported)" in message
    assert "\x1b" not in message


def test_a_model_of_larger_batches_is_told_from_samples_of_another_size(stages: Stages) -> None:
    data = model_fixtures.tiny_dataset(stages.root / "data.npz")
    model = onnx.load(model_fixtures.tiny_classifier(stages.root / "net.onnx"))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save_model(model, stages.root / "net.onnx")
    message = refused(stages.resolve(stages.root / "net.onnx", data), "DatasetInvalid")
    assert "The model takes 2 of these at once: export it with batch 1" in message
