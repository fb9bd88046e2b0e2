"""`dms profile` on recorded and on really compiled artifacts."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dms_operator.artifacts.store import open_store
from dms_operator.cli.main import app
from dms_operator.toolchains.qnn.toolchain import Qnn
from model_fixtures import INPUT_NAME, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import quantized, samples


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifact")
    model = quantized(tiny_classifier(directory / "float.onnx"), directory / "model.onnx")
    (directory / "compiled").mkdir()
    Qnn().convert(model, "qcs8255", {}, directory / "compiled", silent)
    frames = np.concatenate([sample[INPUT_NAME] for sample in samples(4)])
    np.savez(directory / "data.npz", **{INPUT_NAME: frames}, labels=np.array([0, 1, 2, 0]))
    return directory


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["profile", *arguments], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_profile_shows_delegation_cost_traffic_and_layers(artifact: Path) -> None:
    text = run(str(artifact / "compiled"))
    assert "SA8255 v73: 5 of 5 nodes on the NPU" in text
    assert "Cost model: " in text and "Input Fill 20,480 B" in text and "conv1" in text


def test_an_artifact_is_found_by_its_digest_in_a_store(artifact: Path, tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}", (tmp_path,))
    digest = store.put({path.name: path for path in (artifact / "compiled").iterdir() if path.is_file()}).digest
    text = run(digest, "--store", f"file://{tmp_path}", "--json")
    assert json.loads(text)["compiled"]["soc"] == "SA8255"


def test_with_model_and_dataset_the_target_is_compared(artifact: Path) -> None:
    text = run(
        str(artifact / "compiled"), "--model", str(artifact / "model.onnx"), "--dataset", str(artifact / "data.npz")
    )
    assert "4 samples simulated" in text and "SQNR" in text and "top1 on target" in text


def test_a_directory_without_artifact_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["profile", str(tmp_path)])
    assert result.exit_code == 1 and "ConversionFailed: the compiled artifact has no readable manifest" in result.output
