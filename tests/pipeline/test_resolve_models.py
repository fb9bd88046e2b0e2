"""Every good model format becomes ONNX with static shapes that computes the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import model_fixtures
from dms_operator.api.stages import TensorSpec
from pipeline.stages import Stages, Writer, refused, succeeded

DECLARED = [TensorSpec(name="frames", shape=[1, 3, 16, 16])]


@pytest.mark.parametrize(
    ("writer", "suffix", "found"),
    [
        (model_fixtures.tiny_classifier, "onnx", "onnx"),
        (model_fixtures.tiny_pt2, "pt2", "pt2"),
        (model_fixtures.torchscript, "pt", "torchscript"),
    ],
)
def test_each_format_resolves_to_onnx_that_is_right_on_the_dataset(
    writer: Writer, suffix: str, found: str, stages: Stages
) -> None:
    dataset = model_fixtures.tiny_dataset(stages.root / "data.npz")
    result = stages.resolve(writer(stages.root / f"net.{suffix}"), dataset, inputs=DECLARED)
    facts = succeeded(result).model
    assert facts is not None
    assert (facts.format, facts.inputs, facts.dataset_samples, facts.classes) == (found, DECLARED, 64, 3)
    assert facts.parameters > 0
    files = stages.files(result)
    assert sorted(files) == ["dataset.npz", "model.onnx", "source"]
    session = onnxruntime.InferenceSession(files["model.onnx"])
    with np.load(dataset) as data:
        predicted = [session.run(None, {"frames": frame[None]})[0].argmax() for frame in data["frames"]]
        assert (np.array(predicted) == data["labels"]).all()


def test_the_exported_onnx_has_the_asked_opset_and_no_torch_chatter(
    stages: Stages, capfd: pytest.CaptureFixture[str]
) -> None:
    files = stages.files(stages.resolve(model_fixtures.tiny_pt2(stages.root / "net.pt2")))
    opsets = {entry.domain: entry.version for entry in onnx.load(files["model.onnx"]).opset_import}
    assert opsets[""] == 20
    assert "[torch.onnx]" not in capfd.readouterr().out


def test_names_of_inputs_and_outputs_survive_the_export(stages: Stages) -> None:
    class Two(torch.nn.Module):
        def forward(self, eyes: torch.Tensor, mouth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return eyes * 2, mouth + 1

    example = (torch.zeros(1, 4), torch.zeros(1, 5))
    torch.export.save(torch.export.export(Two(), example), stages.root / "net.pt2")
    facts = succeeded(stages.resolve(stages.root / "net.pt2")).model
    assert facts is not None
    assert [(spec.name, spec.shape) for spec in facts.inputs] == [("eyes", [1, 4]), ("mouth", [1, 5])]
    assert [spec.shape for spec in facts.outputs] == [[1, 4], [1, 5]]


def test_a_pinned_digest_that_fits_is_accepted_and_cached(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    facts = succeeded(stages.resolve(model)).model
    assert facts is not None
    pinned = facts.digest.removeprefix("sha256:")
    assert not succeeded(stages.resolve(model, model_sha256=pinned)).cached
    assert succeeded(stages.resolve(model, model_sha256=pinned)).cached


def test_an_unpinned_model_is_never_taken_from_the_cache(stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    succeeded(stages.resolve(model))
    model.write_bytes(b"\x08\x0a then something else")
    assert "damaged" in refused(stages.resolve(model), "ModelInvalid")


def test_a_pinned_digest_that_differs_names_both(stages: Stages) -> None:
    message = refused(
        stages.resolve(model_fixtures.tiny_classifier(stages.root / "net.onnx"), model_sha256="0" * 64),
        "DigestMismatch",
    )
    assert "pins " + "0" * 64 in message
    assert "spec.model.sha256" in message


def test_a_missing_model_is_named(stages: Stages) -> None:
    assert "gone.onnx" in refused(stages.resolve(stages.root / "gone.onnx"), "SourceNotFound")


def test_a_truncated_onnx_says_so(stages: Stages) -> None:
    message = refused(stages.resolve(model_fixtures.truncated(stages.root / "net.onnx")), "ModelInvalid")
    assert "truncated" in message


@pytest.mark.parametrize("keep", [1, 2, 7, 50, 300, 1500, 3000])
def test_onnx_cut_anywhere_is_refused_as_invalid(keep: int, stages: Stages) -> None:
    model = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    model.write_bytes(model.read_bytes()[:keep])
    refused(stages.resolve(model), "ModelInvalid")


def test_dynamic_axes_are_named_in_onnx(stages: Stages) -> None:
    message = refused(stages.resolve(model_fixtures.with_dynamic_axes(stages.root / "net.onnx")), "ModelShapeMismatch")
    assert "axis 0 of frames (batch)" in message


def test_dynamic_axes_are_named_in_pt2(stages: Stages) -> None:
    class Doubled(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return frames * 2

    program = torch.export.export(
        Doubled(), (torch.zeros(2, 4),), dynamic_shapes={"frames": {0: torch.export.Dim("batch")}}
    )
    torch.export.save(program, stages.root / "net.pt2")
    assert "axis 0 of frames" in refused(stages.resolve(stages.root / "net.pt2"), "ModelShapeMismatch")


def test_a_nan_weight_is_named(stages: Stages) -> None:
    message = refused(stages.resolve(model_fixtures.with_nan_weight(stages.root / "net.onnx")), "ModelInvalid")
    assert "conv2" in message
    assert "1 NaN" in message


@pytest.mark.parametrize("writer", [model_fixtures.tiny_classifier, model_fixtures.tiny_pt2])
@pytest.mark.parametrize(
    "declared",
    [
        TensorSpec(name="frames", shape=[1, 3, 32, 32]),
        TensorSpec(name="image", shape=[1, 3, 16, 16]),
        TensorSpec(name="frames", shape=[1, 3, 16, 16], dtype="uint8"),
    ],
)
def test_wrongly_declared_inputs_show_both_sides(declared: TensorSpec, writer: Writer, stages: Stages) -> None:
    message = refused(stages.resolve(writer(stages.root / "net"), inputs=[declared]), "ModelShapeMismatch")
    assert f"{declared.name} {declared.shape} {declared.dtype}" in message
    assert "frames [1, 3, 16, 16] float32" in message


def test_torchscript_without_declared_inputs_asks_for_them(stages: Stages) -> None:
    message = refused(stages.resolve(model_fixtures.torchscript(stages.root / "net.pt")), "ModelShapeMismatch")
    assert "spec.model.inputs" in message


def test_torchscript_with_wrong_inputs_says_what_the_model_answered(stages: Stages) -> None:
    wrong = [TensorSpec(name="frames", shape=[1, 5, 16, 16])]
    message = refused(
        stages.resolve(model_fixtures.torchscript(stages.root / "net.pt"), inputs=wrong), "ModelShapeMismatch"
    )
    assert "expected input[1, 5, 16, 16] to have 3 channels" in message


def test_a_wrong_declared_format_names_the_real_one(stages: Stages) -> None:
    model = model_fixtures.tiny_pt2(stages.root / "net.pt2")
    assert "the file is pt2" in refused(stages.resolve(model, model_format="onnx"), "ModelInvalid")


def test_onnx_with_weights_in_another_file_never_reads_that_file(stages: Stages) -> None:
    model = onnx.load(model_fixtures.tiny_classifier(stages.root / "net.onnx"))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../../etc/passwd")
    (stages.root / "net.onnx").write_bytes(model.SerializeToString())
    assert "in another file" in refused(stages.resolve(stages.root / "net.onnx"), "ModelInvalid")


def test_an_already_quantized_model_is_refused(stages: Stages) -> None:
    model = onnx.load(model_fixtures.tiny_classifier(stages.root / "net.onnx"))
    model.graph.node[0].op_type = "DequantizeLinear"
    (stages.root / "net.onnx").write_bytes(model.SerializeToString())
    refused(stages.resolve(stages.root / "net.onnx"), "ModelInvalid")


def test_a_model_exported_in_training_mode_is_refused(stages: Stages) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).train()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 8, 8),)), stages.root / "net.pt2")
    refused(stages.resolve(stages.root / "net.pt2"), "ModelInvalid")


def test_a_signature_too_long_for_the_answer_is_refused(stages: Stages) -> None:
    names = [f"input_with_a_rather_long_name_{index}" for index in range(60)]
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in names]
    output = onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, [1, 2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Sum", names, ["sum"])], "wide", inputs, [output])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9),
        stages.root / "net.onnx",
    )
    assert "60 inputs" in refused(stages.resolve(stages.root / "net.onnx"), "ModelInvalid")


def test_an_operator_that_nobody_here_knows_is_named(stages: Stages) -> None:
    path = model_fixtures.tiny_classifier(stages.root / "net.onnx")
    model = onnx.load(path)
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.supplier", "SecretConv"
    model.opset_import.append(onnx.helper.make_opsetid("com.supplier", 1))
    onnx.save(model, path)
    assert "com.supplier:SecretConv" in refused(stages.resolve(path), "ModelInvalid")
