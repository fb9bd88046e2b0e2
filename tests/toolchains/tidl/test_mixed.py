"""Which layers deserve 16 bits, and the command that compares precisions."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from dms_operator.toolchains.tidl.compare import compare, main
from dms_operator.toolchains.tidl.fixed_point import Precision
from dms_operator.toolchains.tidl.mixed import Candidate, choose, quality, sensitivity
from dms_operator.toolchains.tidl.predict import predict
from dms_operator.toolchains.tidl.ranges import ranges_of
from dms_operator.toolchains.tidl.surgery import lowered
from model_fixtures import INPUT_NAME, tiny_classifier
from toolchains.conftest import silent
from toolchains.qdq import samples

CANDIDATES = [
    Candidate("a", 6.0, 2e-6),
    Candidate("b", 2.0, 5e-6),
    Candidate("c", 0.5, 1e-6),
    Candidate("d", -1.0, 1e-6),
]


@pytest.mark.parametrize(
    ("factor", "chosen"),
    [(1.0, set()), (1.2, {"a"}), (1.3, {"a", "c"}), (1.8, {"a", "b", "c"}), (9.0, {"a", "b", "c"})],
)
def test_layers_are_taken_while_the_latency_factor_lasts(factor: float, chosen: set[str]) -> None:
    assert choose(CANDIDATES, 1e-5 + 1e-12, factor) == chosen


def test_every_changeable_layer_is_judged_and_the_best_choice_helps(tmp_path: Path) -> None:
    model, inputs = lowered(onnx.load(tiny_classifier(tmp_path / "m.onnx"))), samples(4)
    ranges = ranges_of(model, inputs)
    found = sensitivity(model, ranges, inputs, silent)
    assert {each.tensor for each in found} == {"active1_out", "active2_out", "pooled", "logits"}
    best = max(found, key=lambda each: each.gain)
    reference = predict(model, inputs, silent)
    eight = quality(model, ranges, Precision(), inputs, reference)
    assert quality(model, ranges, Precision(8, frozenset({best.tensor})), inputs, reference) == eight + best.gain


def test_ranges_hold_inputs_activations_and_outputs(tmp_path: Path) -> None:
    model, inputs = onnx.load(tiny_classifier(tmp_path / "m.onnx")), samples(3)
    found = ranges_of(model, inputs)
    assert set(found) == {
        INPUT_NAME,
        "conv1_out",
        "active1_out",
        "conv2_out",
        "active2_out",
        "pooled",
        "features",
        "logits",
    }
    values = np.stack([sample[INPUT_NAME] for sample in inputs])
    assert found[INPUT_NAME] == (values.min(), values.max()) and found["active1_out"][0] == 0.0


def test_precisions_are_compared_from_float_to_16_bits(tmp_path: Path) -> None:
    inputs = samples(12)
    model = onnx.load(tiny_classifier(tmp_path / "m.onnx"))
    labels = np.array([int(output["logits"].argmax()) for output in predict(lowered(model), inputs, silent)])
    rows = compare(model, inputs, labels, 4, 1.001)
    noise = [row[2] for row in rows]
    assert [row[0].split()[0] for row in rows] == ["float32", "w8a8", "w8a8", "w16a16"]
    assert noise[0] == float("inf") and noise[1] <= noise[2] < noise[3] and rows[0][1] == 1.0


def test_the_command_prints_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, frames = tiny_classifier(tmp_path / "m.onnx"), np.concatenate([each[INPUT_NAME] for each in samples(6)])
    np.savez(tmp_path / "d.npz", frames=frames, labels=np.zeros(6, np.int64))
    monkeypatch.setattr(sys, "argv", ["compare", str(model), str(tmp_path / "d.npz"), "--calibration", "2"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[2].startswith("| float32 | ")
