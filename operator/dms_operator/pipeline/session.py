"""ONNX Runtime on the host's CPU."""

import os
from pathlib import Path
from typing import Any

import onnxruntime

from ..api.errors import ModelInvalid


def cpu_session(model: Path | bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open a session on the CPU with all cores that this process may use, unless told otherwise.

    Raises ModelInvalid when ONNX Runtime cannot run the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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
