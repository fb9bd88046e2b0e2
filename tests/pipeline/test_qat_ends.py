"""Training takes nets of several inputs and outputs, some of them whole numbers, for every toolchain."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model_fixtures
from dms_operator.api.quantization import QatRecipe
from pipeline.qat_nets import many_ends
from pipeline.stages import Stages, succeeded

QAT = QatRecipe(epochs=1, learning_rate=1e-3, batch_size=8, max_accuracy_drop=-1)


@pytest.fixture
def recipe(stages: Stages) -> dict[str, Any]:
    """What every recipe of this file says."""
    with np.load(model_fixtures.tiny_dataset(stages.root / "plain.npz", 64)) as plain:
        data, cameras = dict(plain), np.random.default_rng(0).integers(0, 4, (64, 1))
    np.savez(stages.root / "data.npz", camera=cameras, **data)
    found = succeeded(stages.resolve(many_ends(stages.root / "net.pt2"), stages.root / "data.npz"))
    assert found.model is not None and found.artifact is not None
    assert [spec.dtype for spec in found.model.inputs] == ["float32", "int64"]
    assert [spec.dtype for spec in found.model.outputs] == ["float32", "float32", "int64"]
    reference = succeeded(stages.quantize(found.artifact.digest, evaluation_samples=24)).artifact
    assert reference is not None
    common = {"reference": reference.digest, "evaluation_samples": 24, "method": "qat", "qat": QAT}
    return {"resolved": found.artifact.digest, **common}


@pytest.mark.parametrize(
    ("precision", "toolchain"),
    [
        ("int4", "qnn"),
        pytest.param("int8", "qnn", marks=pytest.mark.slow),
        pytest.param("int8", "tidl", marks=pytest.mark.slow),
        pytest.param("int8", "onnxruntime", marks=pytest.mark.slow),
    ],
)
def test_a_net_of_many_ends_is_trained_and_its_file_computes_what_training_saw(
    precision: str, toolchain: str, recipe: dict[str, Any], stages: Stages
) -> None:
    result = succeeded(stages.quantize(**recipe, precision=precision, toolchain=toolchain))
    assert result.variant is not None
    assert result.variant.accuracy_drop <= 0.05
    report = json.loads(Path(stages.files(result)["training.json"]).read_text())
    assert report["transferDifference"] < 0.01
    assert report["calibratedAfterTraining"] == []
