"""ONNX Runtime on the host's CPU."""

from pathlib import Path
from typing import Any

import onnxruntime

from ..api.errors import ModelInvalid
from ..toolchains.ort_session import cpu_options


def cpu_session(model: Path | bytes, threads: int | None = None, *, lean: bool = False) -> onnxruntime.InferenceSession:
    """Open a session on the CPU with all cores that this process may use, unless told otherwise.

    `lean` gives memory back after each run, where every activation is an output and none is reused anyway.
    Raises ModelInvalid when ONNX Runtime cannot run the model.
    """
    options = cpu_options(threads)
    options.enable_cpu_mem_arena = options.enable_mem_pattern = not lean
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        line = next(iter(str(error).splitlines()), "")[:300]
        raise ModelInvalid(f"ONNX Runtime cannot load the model ({line})", hint="Export it again") from error


def run_once(session: onnxruntime.InferenceSession, feed: dict[str, Any]) -> list[Any]:
    """Run one sample. Raises ModelInvalid when the model fails at run time."""
    try:
        outputs: list[Any] = session.run(None, feed)
        return outputs
    except Exception as error:
        line = next(iter(str(error).splitlines()), "")[:300]
        raise ModelInvalid(f"ONNX Runtime cannot run the model ({line})", hint="Export it again") from error
