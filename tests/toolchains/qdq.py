"""QDQ models for the compiler's tests, made as the HTP wants them: uint8 activations, int8 per-channel weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

from model_fixtures import INPUT_NAME, INPUT_SHAPE


class Reader:
    """Eight samples for calibration."""

    def __init__(self) -> None:
        self._samples = iter(samples(8))

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._samples, None)


def samples(count: int) -> Sequence[dict[str, NDArray[Any]]]:
    """Seeded images in [0, 1], each with a batch axis of 1."""
    rng = np.random.default_rng(7)
    return [{INPUT_NAME: rng.uniform(0, 1, INPUT_SHAPE).astype(np.float32)} for _ in range(count)]


def quantized(model: Path, path: Path, *, uint8: Sequence[str] = ()) -> Path:
    """Quantize a float model; the initializers in `uint8` get unsigned weights."""
    overrides = {name: [{"quant_type": QuantType.QUInt8}] for name in uint8}
    config = get_qnn_qdq_config(
        model, Reader(), weight_type=QuantType.QInt8, per_channel=True, init_overrides=overrides
    )
    quantize(model, path, config)
    return path
