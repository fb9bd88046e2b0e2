"""`dms profile` on recorded and on really compiled artifacts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dms_operator.artifacts.store import open_store
from dms_operator.cli.main import app
from dms_operator.toolchains.qnn.toolchain import Qnn
from dms_operator.toolchains.tidl import Tidl
from model_fixtures import INPUT_NAME, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import quantized, samples
from toolchains.tidl.models import fixed_point


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifact")
    model = quantized(tiny_classifier(directory / "float.onnx"), directory / "model.onnx")
    (directory / "compiled").mkdir()
    Qnn().convert(model, "qcs8255", {}, directory / "compiled", silent)
    frames = np.concatenate([sample[INPUT_NAME] for sample in samples(4)])
    np.savez(directory / "data.npz", **{INPUT_NAME: frames}, labels=np.array([0, 1, 2, 0]), allow_pickle=False)
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
    text = run(digest, "--store", f"file://{tmp_path}", "-o", "json")
    assert json.loads(text)["compiled"]["soc"] == "SA8255"


def test_with_model_and_dataset_the_target_is_compared(artifact: Path) -> None:
    text = run(
        str(artifact / "compiled"), "--model", str(artifact / "model.onnx"), "--dataset", str(artifact / "data.npz")
    )
    assert "4 samples simulated" in text and "SQNR" in text and "top1 on target" in text


def test_a_directory_without_artifact_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["profile", str(tmp_path)])
    assert result.exit_code == 1 and "SourceNotFound: " in result.output


def test_a_soc_without_cost_model_gets_words_and_no_number(artifact: Path, tmp_path: Path) -> None:
    Qnn().convert(artifact / "model.onnx", "qcs8550", {"layer-profile": "false"}, tmp_path, silent)
    text = run(str(tmp_path))
    assert "no cost model for this SoC" in text and "Cost model: " not in text


def test_operators_without_cost_are_told(artifact: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifact / "compiled", tmp_path / "copy"))
    report = json.loads((copy / "layers.json").read_text())
    report["costModel"]["missingOps"] = 3
    (copy / "layers.json").write_text(json.dumps(report))
    assert "Too low: 3 operators have no cost" in run(str(copy))


def test_an_estimate_for_tda4vm_is_shown_as_one(tmp_path: Path) -> None:
    model = fixed_point(tiny_classifier(tmp_path / "float.onnx"), tmp_path / "model.onnx")
    (tmp_path / "estimate").mkdir()
    Tidl().convert(model, "tda4vm", {"estimate-only": "true"}, tmp_path / "estimate", silent)
    text = run(str(tmp_path / "estimate"))
    assert "J721E C7x/MMA, estimate only, no TI tools ran" in text
    assert "7 of 7 nodes on the C7x (predicted by TI's published tables)" in text
    assert "(estimated: roofline of TDA4VM" in text and "conv1" in text


def test_samples_for_tda4vm_are_sent_to_the_command_that_runs_them(tmp_path: Path) -> None:
    model = fixed_point(tiny_classifier(tmp_path / "float.onnx"), tmp_path / "model.onnx")
    (tmp_path / "estimate").mkdir()
    Tidl().convert(model, "tda4vm", {"estimate-only": "true"}, tmp_path / "estimate", silent)
    arguments = ["profile", str(tmp_path / "estimate"), "--model", str(model), "--dataset", str(tmp_path / "data.npz")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "python -m dms_operator.toolchains.tidl.compare" in result.output
