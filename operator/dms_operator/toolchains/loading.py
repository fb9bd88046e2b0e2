"""How a board loads a compiled artifact: plain values, made where all of the pipeline is, used where little is.

A board has Python, numpy and its ONNX Runtime; this module and what it imports need no more.
"""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import onnxruntime

from ..api.errors import ConversionFailed, ToolchainUnavailable
from .base import Session
from .ort_session import OrtSession, cpu_options


@dataclass(frozen=True)
class Loading:
    """What is loaded, and by which runtime."""

    kind: Literal["onnxruntime", "qnn", "tidl"]
    model: str
    """File of the compiled directory."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the provider."""
    allow_cpu: bool = True
    """Whether nodes may run on the CPU; without, ONNX Runtime refuses to load instead."""
    machine: str = ""
    """What `uname -m` has to say; empty where the provider finds its own hardware."""


def open_session(loading: Loading, compiled: Path) -> Session:
    """Load a compiled directory on this machine.

    Raises ToolchainUnavailable (no such runtime or hardware here), ConversionFailed.
    """
    if loading.machine not in ("", platform.machine()):
        raise ToolchainUnavailable(
            f"the board is an {platform.machine()} machine, not {loading.machine}",
            hint="Give the node the label of the board that it has",
        )
    return _OPENERS[loading.kind](loading, compiled)


def version(loading: Loading) -> str:
    """Name and version of the runtime on this machine. Raises ToolchainUnavailable."""
    if loading.kind != "qnn":
        return f"{'TIDL on ' if loading.kind == 'tidl' else ''}onnxruntime {onnxruntime.__version__}"
    from .qnn import provider

    return f"onnxruntime-qnn {provider.version()} on onnxruntime {onnxruntime.__version__}"


def open_cpu_session(model: Path) -> OrtSession:
    """Load an ONNX model on all cores that this process may use. Raises ConversionFailed when it cannot be."""
    try:
        return OrtSession(onnxruntime.InferenceSession(model, cpu_options(), providers=["CPUExecutionProvider"]))
    except Exception as error:  # ONNX Runtime's exception classes share no base but Exception
        raise ConversionFailed(f"ONNX Runtime cannot load the model on the CPU: {str(error)[:500]}") from error


def _open_cpu(loading: Loading, compiled: Path) -> Session:
    return open_cpu_session(compiled / loading.model)


def _open_qnn(loading: Loading, compiled: Path) -> Session:
    from .qnn import provider

    return provider.open_session(
        compiled / loading.model, loading.options, {}, allow_cpu=loading.allow_cpu, on_npu=True
    )


def _open_tidl(loading: Loading, compiled: Path) -> Session:
    from . import tidl_session

    return tidl_session.open_session(compiled / loading.model)


_OPENERS: dict[str, Callable[[Loading, Path], Session]] = {
    "onnxruntime": _open_cpu,
    "qnn": _open_qnn,
    "tidl": _open_tidl,
}
