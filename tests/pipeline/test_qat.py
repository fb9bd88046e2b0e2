"""The rung qat as users meet it: what it makes, what it refuses, and that nothing which happens to a pod changes it."""

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

import model_fixtures
from dms_operator.api.quantization import QatRecipe
from dms_operator.api.stages import QuantizeRecipe, StageResult, recipe_digest
from dms_operator.pipeline.encodings import read_encodings
from dms_operator.pipeline.qat import stage
from dms_operator.pipeline.qat.requantize import requantize
from dms_operator.pipeline.qat.strip import Stripped
from dms_operator.toolchains.tidl import Tidl
from dms_operator.toolchains.tidl.powers import scale_problems
from model_fixtures.torch_models import tiny_pt2, torchscript
from pipeline.qat_nets import assorted, burdened
from pipeline.stages import Stages, Writer, refused, succeeded, variant_of

SHORT = QatRecipe(epochs=3, learning_rate=1e-3, batch_size=8, max_accuracy_drop=-1)
"""No epoch is inside a negative drop, so that all of them run."""


class Shop:
    """One store for all tests of this module: models are resolved once, and recipes differ."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self._ready: dict[tuple[Any, ...], tuple[str, str]] = {}

    def recipe(
        self, model: Writer = tiny_pt2, samples: int = 64, evaluation: int = 24, metric: str = "top1", **fields: Any
    ) -> QuantizeRecipe:
        """The rung qat of int4 for QNN, unless told otherwise; the metric cosine means a dataset without labels."""
        key = (model, samples, evaluation, metric)
        if key not in self._ready:
            self._ready[key] = self._resolve(model, samples, evaluation, metric)
        resolved, reference = self._ready[key]
        options = {"image": "test", "precision": "int4", "method": "qat", "toolchain": "qnn", "qat": SHORT}
        scored = {"resolved": resolved, "reference": reference, "evaluationSamples": evaluation, "metric": metric}
        return QuantizeRecipe.model_validate(options | scored | fields)

    def _resolve(self, model: Writer, samples: int, evaluation: int, metric: str) -> tuple[str, str]:
        root, labelled = self.stages.root, metric != "cosine"
        data = root / f"{samples}-{metric}.npz"
        dataset = (
            model_fixtures.tiny_dataset(data, samples)
            if labelled
            else model_fixtures.dataset_without_labels(data, samples)
        )
        inputs = {"inputs": [{"name": "frames", "shape": [1, 3, 16, 16]}]} if model is torchscript else {}
        found = self.stages.resolve(model(root / "net"), dataset, labels_required=labelled, **inputs)
        resolved = succeeded(found).artifact
        assert resolved is not None
        reference = succeeded(
            self.stages.quantize(resolved.digest, evaluation_samples=evaluation, metric=metric)
        ).artifact
        assert reference is not None
        return resolved.digest, reference.digest

    def train(self, recipe: QuantizeRecipe) -> StageResult:
        """Run it, though it may have been run before."""
        record = self.stages.root / "store" / "recipes" / f"{recipe_digest(recipe).removeprefix('sha256:')}.json"
        record.unlink(missing_ok=True)
        return self.stages.run(recipe)

    def files(self, result: StageResult) -> dict[str, bytes]:
        return {name: path.read_bytes() for name, path in self.stages.files(succeeded(result)).items()}

    def report(self, result: StageResult) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files(result)["training.json"])
        return found

    def checkpoint(self, recipe: QuantizeRecipe) -> Path:
        return self.stages.root / "store" / "checkpoints" / f"{recipe_digest(recipe).removeprefix('sha256:')}.pt"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root = tmp_path_factory.mktemp("qat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        yield Shop(Stages(root))


def qat(**fields: Any) -> QatRecipe:
    return SHORT.model_copy(update=fields)


def test_a_trained_variant_says_how_it_was_made(shop: Shop) -> None:
    result = shop.train(shop.recipe())
    facts = variant_of(result)
    assert (facts.method, facts.calibration, facts.scheme) == ("qat", None, "w4a16 per-channel")
    assert "trained on 32 samples by labels and the fp32 model, 3 epochs, judged on 8 held-out samples" in facts.notes
    assert facts.accuracy.samples == 24
    assert facts.accuracy_drop <= 0.05
    assert [row["epoch"] for row in shop.report(result)["epochs"]] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("fields", "scheme", "weight", "activation"),
    [
        ({}, "w4a16", onnx.TensorProto.INT4, onnx.TensorProto.UINT16),
        pytest.param(
            {"static": {"activationBits": 8}},
            "w4a8",
            onnx.TensorProto.INT4,
            onnx.TensorProto.UINT8,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"precision": "int8"}, "w8a8", onnx.TensorProto.INT8, onnx.TensorProto.UINT8, marks=pytest.mark.slow
        ),
        pytest.param(
            {"precision": "int8", "toolchain": "onnxruntime"},
            "w8a8",
            onnx.TensorProto.INT8,
            onnx.TensorProto.INT8,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_operator_of_the_file_is_quantized_by_what_was_learned(
    fields: dict[str, Any], scheme: str, weight: int, activation: int, shop: Shop
) -> None:
    result = shop.train(shop.recipe(assorted, qat=qat(epochs=1), **fields))
    assert variant_of(result).scheme.startswith(scheme)
    assert shop.report(result)["calibratedAfterTraining"] == []
    model = onnx.load(shop.stages.files(result)["model.onnx"])
    producers = {name: node for node in model.graph.node for name in node.output}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if "toolchain" not in fields and node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            assert producers[node.input[0]].op_type == "DequantizeLinear", f"{node.name} reads a float"
        if node.op_type == "Conv":
            assert types[producers[node.input[1]].input[0]] == weight
    zero_points = {types[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert zero_points == {activation}


def test_what_was_learned_of_weights_and_activations_stands_in_the_file_and_in_its_overrides(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Stripped] = []

    def watched(stripped: Stripped, *rest: Any) -> list[str]:
        learned.append(copy.deepcopy(stripped))
        return requantize(stripped, *rest)

    monkeypatch.setattr(stage, "requantize", watched)
    result = shop.train(shop.recipe(assorted, qat=qat(epochs=1), seed=3))
    found = read_encodings(onnx.load(shop.stages.files(result)["model.onnx"]))
    overrides = json.loads(shop.files(result)["encodings.json"])
    report = shop.report(result)
    assert report["chosenEpoch"] == 1 and min(report["learnedRanges"].values()) > 8
    for wanted, written, kind in (
        (learned[0].weights, found.weights, "param_encodings"),
        (learned[0].activations, found.activations, "activation_encodings"),
    ):
        shared = wanted.keys() & written.keys()
        assert len(shared) >= 0.9 * len(wanted) > 5
        for name in shared:
            scales, zeros = wanted[name].scale.ravel(), wanted[name].zero_point.ravel()
            assert (written[name].scale.ravel() == scales).all(), name
            assert (written[name].zero_point.ravel() == zeros).all(), name
            assert [entry["scale"] for entry in overrides[kind][name]] == scales.tolist()


def test_a_file_that_does_not_compute_what_was_trained_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(stripped: Stripped, target: Path, *rest: Any) -> list[str]:
        unseen = requantize(stripped, target, *rest)
        model = onnx.load(target)
        read = {node.input[1] for node in model.graph.node if node.op_type == "DequantizeLinear"}
        for tensor in model.graph.initializer:
            if tensor.name in read:
                scale = 1.1 * onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(scale.astype("float32"), tensor.name))
        onnx.save(model, target)
        return unseen

    monkeypatch.setattr(stage, "requantize", wrong)
    words = refused(shop.train(shop.recipe(qat=qat(epochs=1))), "QuantizationFailed")
    assert "the quantized file differs from the trained net by" in words


def test_training_for_tda4vm_learns_power_of_two_steps_that_convert(shop: Shop, tmp_path: Path) -> None:
    result = shop.train(shop.recipe(assorted, qat=qat(epochs=2), precision="int8", toolchain="tidl"))
    assert variant_of(result).scheme == "w8a8 power-of-two per-tensor"
    assert variant_of(result).accuracy_drop <= 0.05
    assert shop.report(result)["transferDifference"] < 0.02
    path = shop.stages.files(result)["model.onnx"]
    model = onnx.load(path)
    assert scale_problems(model) == {}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    zero_points = {types[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert zero_points == {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}  # what follows a ReLU has no sign
    compiled = Tidl().convert(path, "tda4vm", {"estimate-only": "true"}, tmp_path, lambda *_: None)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total


def test_training_for_tda4vm_keeps_what_power_of_two_steps_round_away(shop: Shop) -> None:
    tidl: dict[str, Any] = {
        "model": burdened,
        "samples": 400,
        "evaluation": 160,
        "precision": "int8",
        "toolchain": "tidl",
    }
    better = {"equalize": True, "correctBias": True}
    rounded = variant_of(shop.train(shop.recipe(**tidl, method="static", static=better)))
    wanted = QatRecipe(epochs=30, learning_rate=5e-3, batch_size=16, max_accuracy_drop=0.05)
    trained = variant_of(shop.train(shop.recipe(**tidl, qat=wanted)))
    assert rounded.accuracy.value < 0.5 and trained.accuracy.value > 0.95


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others(shop: Shop) -> None:
    recipe = shop.recipe()
    first = shop.files(shop.train(recipe))
    assert shop.files(shop.train(recipe)) == first
    assert shop.files(shop.train(shop.recipe(seed=1)))["model.onnx"] != first["model.onnx"]


def test_what_its_time_limit_stopped_goes_on_to_the_same_bytes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = shop.recipe()
    expected = shop.files(shop.train(recipe))
    monkeypatch.setenv("DMS_TIME_LIMIT", "1e-9")
    for step in range(1, 11):  # ranges of activations are learned from step 7 on
        stopped = shop.train(recipe).failure
        assert stopped is not None
        assert (stopped.reason, stopped.retryable) == ("TimeLimitReached", True)
        assert f"stopped after step {step} of 12" in stopped.message
        assert "the next attempt goes on from there" in stopped.message
        assert shop.checkpoint(recipe).exists()
    monkeypatch.delenv("DMS_TIME_LIMIT")
    assert shop.files(shop.train(recipe)) == expected
    assert not shop.checkpoint(recipe).exists()


@pytest.mark.slow
def test_a_killed_pod_goes_on_to_the_same_bytes(shop: Shop) -> None:
    recipe = shop.recipe(qat=qat(epochs=100))
    expected = shop.files(shop.train(recipe))
    record = shop.stages.root / "store" / "recipes" / f"{recipe_digest(recipe).removeprefix('sha256:')}.json"
    record.unlink()  # the cache must not answer
    request = shop.stages.root / "request.json"
    request.write_text(json.dumps(shop.stages.request(recipe).to_wire()))
    command = [sys.executable, "-m", "dms_operator.cli.main", "stage", "run", str(request)]
    operator = Path(model_fixtures.__file__).parents[2] / "operator"
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(operator)})
    deadline = time.monotonic() + 100
    while not shop.checkpoint(recipe).exists():
        assert process.poll() is None, "it was over before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait(30)
    assert not record.exists(), "it was over before it could be killed"
    assert shop.files(shop.stages.run(recipe)) == expected


def test_training_that_diverges_is_named(shop: Shop) -> None:
    recipe = shop.recipe(qat=qat(epochs=2, learning_rate=1e3))
    message = refused(shop.train(recipe), "QuantizationFailed")
    assert "training diverged" in message
    assert "Lower spec.quantization.qat.learningRate" in message
    assert not shop.checkpoint(recipe).exists(), "a retry would go on with a lost run"


def test_training_stops_early_once_it_stays_inside_the_gate_and_gains_no_more(shop: Shop) -> None:
    result = shop.train(shop.recipe(qat=qat(epochs=30, max_accuracy_drop=0.5)))
    rows = [row["held_out_loss"] for row in shop.report(result)["epochs"]]
    assert 1 + 2 <= len(rows) < 1 + 30
    assert rows[-1] >= min(rows[:-1])


def test_without_labels_the_fp32_model_teaches_what_rounding_took_away(shop: Shop) -> None:
    unlabelled: dict[str, Any] = {"model": burdened, "samples": 400, "evaluation": 160, "metric": "cosine"}
    better = {"equalize": True, "correctBias": True, "rounding": "learned"}
    rounded = variant_of(shop.train(shop.recipe(**unlabelled, method="static", static=better)))
    wanted = QatRecipe(epochs=10, learning_rate=1e-2, batch_size=16, max_accuracy_drop=0.005)
    trained = variant_of(shop.train(shop.recipe(**unlabelled, qat=wanted)))
    assert "samples by the fp32 model" in trained.notes
    assert rounded.accuracy.value < 0.5 and trained.accuracy.value > 0.95


@pytest.mark.parametrize(
    ("writer", "format_name"), [(model_fixtures.tiny_classifier, "ONNX"), (torchscript, "TorchScript")]
)
def test_other_formats_than_pt2_are_told_what_to_give(writer: Writer, format_name: str, shop: Shop) -> None:
    message = refused(shop.train(shop.recipe(writer)), "QuantizationFailed")
    assert f"needs the PyTorch program (torch.export), but the model is {format_name}" in message
    assert "torch.export.save, or use method: static" in message


def test_too_few_samples_beside_the_evaluation_are_refused(shop: Shop) -> None:
    message = refused(shop.train(shop.recipe(samples=12, evaluation=8)), "DatasetInvalid")
    assert "too few to train on" in message
    assert "evaluationSamples" in message


def test_a_pod_that_would_run_out_of_memory_says_so_and_keeps_its_checkpoint(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = shop.recipe(seed=2)
    monkeypatch.setenv("DMS_MEMORY_LIMIT", "1000")
    failure = shop.train(recipe).failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("OutOfMemory", True)
    assert "of the pod's 1000 bytes" in failure.message
    assert shop.checkpoint(recipe).exists()
