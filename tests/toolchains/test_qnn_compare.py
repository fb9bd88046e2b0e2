"""The comparison of variants: figures where there are any, words where there are none."""

from pathlib import Path

import numpy as np
import pytest

from dms_operator.toolchains.qnn.compare import Row, main, table
from model_fixtures import INPUT_NAME
from toolchains.qdq import samples

ROW = Row("w8a8", 5, 6, 100, (90, 120), 2048, 0.5, 0.75, 0.75, 0.25, 0.0625, 38.51)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    frames = np.concatenate([sample[INPUT_NAME] for sample in samples(2)])
    np.savez(tmp_path / "data.npz", **{INPUT_NAME: frames}, labels=np.array([0, 1]), allow_pickle=False)
    return tmp_path / "data.npz"


def test_the_first_variant_is_the_measure_of_the_others() -> None:
    slow = Row("fp16", 6, 6, 375, (300, 400), 4096, 1.0, 1.0, 1.0, 0.01, 0.001, 60.0)
    lines = table([slow, ROW]).splitlines()
    assert (
        lines[3] == "| w8a8 | 5 of 6 | 100 (90 to 120) | 3.75 | 2 | 0.5000 | 0.7500 | 75.0% | 0.25 | 0.0625 | 38.5 dB |"
    )


def test_a_soc_without_cost_model_gets_no_number() -> None:
    unpriced = Row("w8a8", 5, 6, None, (0, 0), 0, 0.5, 0.75, 0.75, 0.25, 0.0625, 38.51)
    assert "| no cost model for this SoC |  |  |" in table([unpriced, unpriced])


def test_a_variant_is_compiled_priced_and_simulated(
    tiny_qdq: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"w8a8={tiny_qdq}", "--dataset", str(dataset), "--samples", "2"]) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.startswith("| w8a8 | 5 of 5 | ") and "| 1.00 |" in row and "dB" in row


def test_a_variant_that_the_board_refuses_ends_in_its_reason(
    tmp_path: Path, dataset: Path, tiny_qdq: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.onnx").write_bytes(tiny_qdq.read_bytes())
    arguments = [f"w8a8={tmp_path / 'broken.onnx'}", "--dataset", str(dataset), "--board", "tda4vm"]
    assert main(arguments) == 1
    assert "InvalidSpec: board tda4vm has no Qualcomm NPU" in capsys.readouterr().err
