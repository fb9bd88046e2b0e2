"""Qualcomm's own compiler takes each trained net whole for SA8255 at w8a8, and its simulator agrees with the host."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from dms_operator.toolchains.qnn.toolchain import Qnn
from driver_monitor.export import save_onnx
from driver_monitor.nets import NETS
from driver_monitor.train import Clips
from model_fixtures.plain_ptq import Feed, feeds_of, quantized
from model_fixtures.recurrent_models import recurrent_net

_CALIBRATED = 32
_SIMULATED = 3


def silent(step: str, done: int, total: int) -> None:
    pass


def assert_compiles_whole(model: Path, feeds: list[Feed], directory: Path) -> None:
    qdq = quantized(model, directory / "qdq.onnx", feeds)
    compiled = Qnn().convert(qdq, "qcs8255", {}, directory / "compiled", silent)
    assert compiled.facts.delegation.npu == compiled.facts.delegation.total
    simulated = Qnn().simulate(directory / "compiled", feeds[:_SIMULATED], directory, silent)
    assert simulated is not None
    host = onnxruntime.InferenceSession(qdq, providers=["CPUExecutionProvider"])
    expected = [host.run(None, feed)[0] for feed in feeds[:_SIMULATED]]
    for logits, wanted in zip(simulated, expected, strict=True):
        np.testing.assert_allclose(logits["logits"], wanted, atol=0.3)  # some steps of the 8-bit output


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_a_trained_net_compiles_whole(name: str, fresh_clips: Clips, tmp_path: Path) -> None:
    model = save_onnx(torch.export.load(NETS[name].program), tmp_path / "net.onnx")
    assert_compiles_whole(model, feeds_of(fresh_clips)[:_CALIBRATED], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrent_operator_compiles_whole_too(cell: Any, fresh_clips: Clips, tmp_path: Path) -> None:
    model = recurrent_net(tmp_path / "net.onnx", cell, fresh_clips)
    assert_compiles_whole(model, feeds_of(fresh_clips)[:_CALIBRATED], tmp_path)
