"""The committed reference net: it is what its card says, it is accurate, and the code that trained it still does."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.export import ExportedProgram

from driver_monitor.behaviour import LABELS
from driver_monitor.dataset import make_dataset
from driver_monitor.export import save_onnx
from driver_monitor.network import full_size, reference
from driver_monitor.train import COMMITTED, Recipe, accuracy, mirror, render_clips, train

STANDARD_OPERATORS = {
    "Add", "Conv", "Gelu", "Gemm", "LayerNormalization", "MatMul", "MaxPool",
    "Mul", "ReduceMean", "Relu", "Reshape", "Softmax", "Transpose",
}  # fmt: skip


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return torch.export.load(COMMITTED)


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(COMMITTED.with_suffix(".json").read_text())
    return loaded


def test_the_committed_file_is_the_one_that_its_card_describes(card: dict[str, Any]) -> None:
    assert hashlib.sha256(COMMITTED.read_bytes()).hexdigest() == card["sha256"]
    assert COMMITTED.stat().st_size < 6_000_000
    assert card["output"]["labels"] == list(LABELS)


def test_the_card_belongs_to_the_recipe_in_the_code(card: dict[str, Any]) -> None:
    assert Recipe(**card["recipe"]) == Recipe()
    assert card["heldOut"]["accuracy"] > 0.97
    assert card["heldOut"]["clips"] >= 1000


def test_the_committed_file_does_not_tell_where_it_was_made() -> None:
    with zipfile.ZipFile(COMMITTED) as archive:
        assert not any(b"site-packages" in archive.read(member) for member in archive.namelist())


def test_the_program_names_its_input_and_output(program: ExportedProgram) -> None:
    assert program.graph_signature.user_inputs == ("frames",)
    assert program.graph_signature.user_outputs == ("logits",)


def test_the_net_tells_fresh_clips_right(program: ExportedProgram) -> None:
    net = program.module()
    frames, labels = make_dataset(120, seed=2026)
    with torch.no_grad():
        answers = [int(net(torch.from_numpy(clip[None])).argmax()) for clip in frames]
    assert np.mean(np.array(answers) == labels) > 0.95


def test_the_onnx_form_has_only_operators_that_npu_compilers_know(program: ExportedProgram, tmp_path: Path) -> None:
    model = onnx.load(save_onnx(program, tmp_path / "net.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} <= STANDARD_OPERATORS
    (frames,), (logits,) = model.graph.input, model.graph.output
    assert (frames.name, logits.name) == ("frames", "logits")
    assert [axis.dim_value for axis in frames.type.tensor_type.shape.dim] == [1, 8, 3, 64, 64]


def test_a_step_of_training_moves_the_weights_and_repeats_exactly() -> None:
    recipe, clips, lines = replace(Recipe(), epochs=2), render_clips(32, seed=1), list[str]()
    first, second = (train(clips, recipe, lines.append) for _ in range(2))
    torch.manual_seed(recipe.seed)
    fresh = reference()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), fresh.parameters(), strict=True))
    assert len(lines) == 2 * recipe.epochs
    assert 0 <= accuracy(first, clips) <= 1


def test_mirroring_swaps_left_and_right_and_nothing_else() -> None:
    frames = torch.rand(6, 8, 3, 4, 4)
    labels = torch.arange(6)
    mirrored, swapped = mirror(frames, labels, torch.tensor([True] * 5 + [False]))
    assert swapped.tolist() == [0, 1, 2, 4, 3, 5]
    assert torch.equal(mirrored[:5], frames[:5].flip(-1))
    assert torch.equal(mirrored[5], frames[5])


def test_the_full_size_net_is_resnet18_at_224() -> None:
    net = full_size().eval()
    classifier = 512 * 1000 + 1000
    published = 11_689_512  # parameters of ResNet-18 with its 1000 classes
    assert sum(parameter.numel() for parameter in net.backbone.parameters()) + classifier == published
    assert net(torch.zeros(1, 8, 3, 224, 224)).shape == (1, len(LABELS))
