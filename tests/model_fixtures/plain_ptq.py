"""Plain post-training quantization by onnxruntime's own quantizer, as the HTP wants it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
from onnxruntime.quantization.shape_inference import quant_pre_process

from driver_monitor.train import Clips

Feed = dict[str, NDArray[np.float32]]


class _Reader:
    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def feeds_of(clips: Clips) -> list[Feed]:
    return [{"frames": (levels[None].float() / 255).numpy()} for levels in clips.levels]


def quantized(
    model: Path,
    path: Path,
    feeds: list[Feed],
    weight: QuantType = QuantType.QInt8,
    activation: QuantType = QuantType.QUInt8,
) -> Path:
    """Quantize per channel by minmax; the scale of a LayerNorm must be unsigned for the HTP."""
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    graph = onnx.load(prepared)
    del graph.metadata_props[:]
    norms = [node.input[1] for node in graph.graph.node if node.op_type == "LayerNormalization"]
    overrides: dict[str, list[dict[str, Any]]] = {name: [{"quant_type": QuantType.QUInt8}] for name in norms}
    config = get_qnn_qdq_config(
        graph,
        _Reader(feeds),
        activation_type=activation,
        weight_type=weight,
        per_channel=True,
        init_overrides=overrides,
    )
    quantize(graph, path, config)
    return path
