"""Outputs of a fixed-point (QDQ) model on this machine: what the C7x computes, as far as `fixed_point` knows it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from ...api.errors import ConversionFailed
from ..base import Arrays, Progress
from ..ort_session import cpu_options

Outputs = dict[str, NDArray[Any]]


def predict(model: onnx.ModelProto, samples: Sequence[Arrays], progress: Progress) -> list[Outputs]:
    """Outputs by name for each sample. Raises ConversionFailed when ONNX Runtime cannot run the model."""
    options = cpu_options()
    options.log_severity_level = 3
    # integer kernels of some CPUs saturate in between; in float the quantized values are exact
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found = []
        for done, sample in enumerate(samples):
            progress("predict", done, len(samples))
            found.append(dict(zip(names, session.run(names, dict(sample)), strict=True)))
    except Exception as error:  # ONNX Runtime's exception classes share no base but Exception
        line = next(iter(str(error).splitlines()), "")[:300]
        raise ConversionFailed(f"ONNX Runtime cannot run the fixed-point model ({line})") from error
    progress("predict", len(samples), len(samples))
    return found


def signal_to_noise(reference: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> float:
    """Signal over quantization noise in dB, over all outputs; infinite when they are equal."""
    signal = sum(float((value.astype(np.float64) ** 2).sum()) for value in reference.values())
    noise = sum(float(((reference[name].astype(np.float64) - other[name]) ** 2).sum()) for name in reference)
    return float("inf") if noise == 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))
