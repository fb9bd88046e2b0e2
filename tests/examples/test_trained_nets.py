"""Each committed net: it is what its card says, it is accurate, and NPU compilers know its operators."""

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch.export import ExportedProgram

from driver_monitor.behaviour import LABELS
from driver_monitor.export import save_onnx
from driver_monitor.nets import NETS, Net, Recipe
from driver_monitor.train import Clips

TRANSFORMER = {"Gelu", "LayerNormalization", "MatMul", "Softmax", "Transpose"}
OPERATORS = {
    "resnet18": {"Add", "Conv", "Gemm", "MaxPool", "Mul", "ReduceMean", "Relu", "Reshape", *TRANSFORMER},
    "mobilenet-v3-small": {
        "Add", "Conv", "Gemm", "HardSigmoid", "HardSwish", "Mul", "ReduceMean", "Relu", "Reshape", *TRANSFORMER
    },
    "efficientnet-lite0": {
        "Add", "Clip", "Concat", "Conv", "Gemm", "MatMul", "Mul", "ReduceMean",
        "Reshape", "Sigmoid", "Slice", "Split", "Squeeze", "Sub", "Tanh", "Unsqueeze",
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=NETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def net(name: str) -> Net:
    return NETS[name]


@pytest.fixture(scope="module")
def program(net: Net) -> ExportedProgram:
    return torch.export.load(net.program)


@pytest.fixture(scope="module")
def card(net: Net) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(net.program.with_suffix(".json").read_text())
    return loaded


def test_the_committed_file_is_the_one_that_its_card_describes(net: Net, card: dict[str, Any]) -> None:
    assert hashlib.sha256(net.program.read_bytes()).hexdigest() == card["sha256"]
    assert net.program.stat().st_size < 6_000_000
    assert card["name"] == net.program.stem
    assert card["output"]["labels"] == list(LABELS)


def test_the_card_belongs_to_the_recipe_in_the_code(net: Net, card: dict[str, Any]) -> None:
    assert Recipe(**card["recipe"]) == net.recipe
    assert card["heldOut"]["accuracy"] > 0.97
    assert card["heldOut"]["clips"] >= 1000


def test_the_committed_file_does_not_tell_where_it_was_made(net: Net) -> None:
    with zipfile.ZipFile(net.program) as archive:
        contents = b"".join(archive.read(member) for member in archive.namelist())
    assert not any(hint in contents for hint in (b"site-packages", b".py"))
    assert re.findall(rb"(?<![\w./])/[A-Za-z][\w.-]+/[\w./-]{3,}", contents) == []


def test_the_program_names_its_input_and_output(program: ExportedProgram) -> None:
    assert program.graph_signature.user_inputs == ("frames",)
    assert program.graph_signature.user_outputs == ("logits",)


def test_the_code_still_builds_the_net_that_was_trained(net: Net, program: ExportedProgram) -> None:
    built = net.reference().state_dict()
    assert {key: value.shape for key, value in built.items()} == {
        key: value.shape for key, value in program.state_dict.items()
    }


def test_the_net_tells_fresh_clips_right(program: ExportedProgram, fresh_clips: Clips) -> None:
    net = program.module()
    with torch.no_grad():
        answers = torch.cat([net(levels[None].float() / 255) for levels in fresh_clips.levels]).argmax(1)
    assert float((answers == fresh_clips.labels).float().mean()) > 0.95


def test_the_onnx_form_has_only_operators_that_npu_compilers_know(
    name: str, program: ExportedProgram, tmp_path: Path
) -> None:
    model = onnx.load(save_onnx(program, tmp_path / "net.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} == OPERATORS[name]
    (frames,), (logits,) = model.graph.input, model.graph.output
    assert (frames.name, logits.name) == ("frames", "logits")
    assert [axis.dim_value for axis in frames.type.tensor_type.shape.dim] == [1, 8, 3, 64, 64]
