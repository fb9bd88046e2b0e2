"""A trained net whose streams are turned: no post-training rung keeps it in 8 bits, training does (docs/qat.md)."""

from pathlib import Path

import pytest

from dms_operator.api.quantization import QatRecipe
from dms_operator.api.spec import QuantizationSpec
from dms_operator.controller.rungs import Rung, rungs
from driver_monitor.dataset import write_dataset
from model_fixtures.hard_models import sheared
from pipeline.stages import Stages, succeeded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SAMPLES = {"calibration_samples": 64, "evaluation_samples": 300}
QAT = QatRecipe(epochs=6, learning_rate=1e-3, batch_size=16)
ONE_CLIP = 1 / 300
"""On another processor sums have other last digits, and training takes another course."""


def test_of_all_rungs_on_a_cpu_only_training_keeps_a_turned_net_within_a_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DMS_FILE_ROOTS", str(tmp_path))
    stages = Stages(tmp_path)
    data = write_dataset(tmp_path / "data.npz", 1100, 777)
    resolved = succeeded(stages.resolve(sheared(tmp_path / "net.pt2", k=20.0), data)).artifact
    assert resolved is not None
    reference = succeeded(stages.quantize(resolved.digest, **SAMPLES)).artifact
    assert reference is not None

    def drop(rung: Rung) -> float:
        made = stages.quantize(
            resolved.digest,
            reference=reference.digest,
            precision="int8",
            method=rung.method,
            calibration=rung.calibration,
            static=rung.static,
            toolchain="onnxruntime",
            qat=QAT if rung.method == "qat" else None,
            **SAMPLES,
        )
        facts = succeeded(made).variant
        assert facts is not None
        print(rung.name("onnxruntime"), facts.accuracy_drop)
        return facts.accuracy_drop

    *static, trained = rungs("int8", QuantizationSpec(), "onnxruntime", trainable=True)
    assert trained.method == "qat"
    assert min(map(drop, static)) > 0.02
    assert drop(trained) <= 0.01 + ONE_CLIP
