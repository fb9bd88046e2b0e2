"""The example's trained network (ResNet and Transformer) all the way to an estimate for TDA4VM."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from dms_operator.pipeline.export import to_onnx
from dms_operator.toolchains.tidl import Tidl
from dms_operator.toolchains.tidl.compare import compare
from dms_operator.toolchains.tidl.fixed_point import to_fixed_point
from dms_operator.toolchains.tidl.ranges import ranges_of
from dms_operator.toolchains.tidl.surgery import lowered
from driver_monitor.dataset import make_dataset
from toolchains.conftest import silent

EXAMPLE = Path(__file__).parents[3] / "examples" / "models" / "driver-monitor.pt2"


@pytest.mark.slow
def test_the_driver_monitor_is_taken_whole_and_keeps_its_accuracy(tmp_path: Path, workdir: Path) -> None:
    model = to_onnx(EXAMPLE, "pt2", None, tmp_path)
    frames, labels = make_dataset(60, 7)
    clips = [{"frames": clip[None]} for clip in frames]
    rows = compare(model, clips, labels, 20, 1.01)
    assert rows[1][1] >= rows[0][1] - 0.05 and rows[1][2] > 25 and rows[3][2] > 60

    ready = lowered(model)
    onnx.save(to_fixed_point(ready, ranges_of(ready, clips[:20])), tmp_path / "model.onnx")
    compiled = Tidl().convert(tmp_path / "model.onnx", "tda4vm", {"estimate-only": "true"}, workdir, silent)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total > 100
    predicted = Tidl().predict(workdir, clips[-1:], silent)
    assert predicted is not None and int(np.argmax(predicted[0]["logits"])) == labels[-1]
