"""ONNX Runtime on the host's CPU."""

from pathlib import Path
from typing import Any

import onnxruntime

from ..api.errors import ModelInvalid
from ..toolchains.ort_session import cpu_options
from .untrusted import first_line, told_as


def cpu_session(model: Path | bytes, threads: int | None = None, *, lean: bool = False) -> onnxruntime.InferenceSession:
    """Open a session on the CPU with all cores that this process may use, unless told otherwise.

    `lean` gives memory back after each run, where every activation is an output and none is reused anyway.
    Raises ModelInvalid when ONNX Runtime cannot run the model, MemoryError.
    """
    options = cpu_options(threads)
    options.enable_cpu_mem_arena = options.enable_mem_pattern = not lean
    options.log_severity_level = 3
    with told_as(lambda error: _refused("load", error)):
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )


def run_once(
    session: onnxruntime.InferenceSession, feed: dict[str, Any], outputs: list[str] | None = None
) -> list[Any]:
    """Run one sample, for all outputs unless some are named.

    Raises ModelInvalid when the model fails at run time, MemoryError.
    """
    with told_as(lambda error: _refused("run", error)):
        values: list[Any] = session.run(outputs, feed)
    return values


def _refused(what: str, error: Exception) -> ModelInvalid:
    return ModelInvalid(f"ONNX Runtime cannot {what} the model ({first_line(error)})", hint="Export it again")
