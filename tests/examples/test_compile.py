"""Qualcomm's own compiler takes each trained net whole for SA8255 at w8a8, and its simulator agrees with the host."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
from onnxruntime.quantization.shape_inference import quant_pre_process

from dms_operator.toolchains.qnn.toolchain import Qnn
from driver_monitor.export import save_onnx
from driver_monitor.nets import NETS
from driver_monitor.train import Clips
from model_fixtures.recurrent_models import recurrent_net

Feed = dict[str, NDArray[np.float32]]
TRAINED = ["resnet18", "mobilenet-v3-small"]
_CALIBRATED = 32
_SIMULATED = 3


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def feeds_of(clips: Clips) -> list[Feed]:
    return [{"frames": (levels[None].float() / 255).numpy()} for levels in clips.levels[:_CALIBRATED]]


def quantized(model: Path, path: Path, feeds: list[Feed]) -> Path:
    """w8a8 per channel; the scale of a LayerNorm must be unsigned for the HTP."""
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    graph = onnx.load(prepared)
    del graph.metadata_props[:]
    norms = [node.input[1] for node in graph.graph.node if node.op_type == "LayerNormalization"]
    overrides: dict[str, list[dict[str, Any]]] = {name: [{"quant_type": QuantType.QUInt8}] for name in norms}
    config = get_qnn_qdq_config(
        graph, _Reader(feeds), weight_type=QuantType.QInt8, per_channel=True, init_overrides=overrides
    )
    quantize(graph, path, config)
    return path


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
@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_net_compiles_whole(name: str, fresh_clips: Clips, tmp_path: Path) -> None:
    model = save_onnx(torch.export.load(NETS[name].program), tmp_path / "net.onnx")
    assert_compiles_whole(model, feeds_of(fresh_clips), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrent_operator_compiles_whole_too(cell: Any, fresh_clips: Clips, tmp_path: Path) -> None:
    model = recurrent_net(tmp_path / "net.onnx", cell, fresh_clips)
    assert_compiles_whole(model, feeds_of(fresh_clips), tmp_path)
