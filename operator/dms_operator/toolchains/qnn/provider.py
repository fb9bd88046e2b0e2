"""ONNX Runtime sessions on the QNN provider. Importing the module loads nothing native."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import onnxruntime

from ...api.errors import ToolchainUnavailable
from ..ort_session import OrtSession

PROVIDER = "QNNExecutionProvider"
_WARNING = 2


def _package() -> Any:
    try:
        import onnxruntime_qnn
    except ImportError as error:
        raise ToolchainUnavailable(
            "onnxruntime-qnn is not installed in this image", hint="Install the extra `qnn` of dms-operator"
        ) from error
    return onnxruntime_qnn


def version() -> str:
    """Version of the provider package. Raises ToolchainUnavailable when it is not installed."""
    return str(_package().__version__)


def library(name: str) -> Path:
    """Path of one of the package's shared libraries, such as `QnnSystem`. Raises ToolchainUnavailable."""
    path = Path(_package().get_library_path()).parent / f"lib{name}.so"
    if not path.is_file():
        raise ToolchainUnavailable(f"onnxruntime-qnn {version()} carries no {path.name}")
    return path


@lru_cache(maxsize=1)
def devices() -> tuple[Any, ...]:
    """The provider's devices: one of type CPU (the simulator) on x86, one of type NPU on a board."""
    onnxruntime.register_execution_provider_library(PROVIDER, _package().get_library_path())
    return tuple(device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER)


def npu_devices() -> tuple[Any, ...]:
    """The devices that are real NPUs; empty on a build machine."""
    npu = onnxruntime.OrtHardwareDeviceType.NPU
    return tuple(device for device in devices() if device.device.type == npu)


def open_session(
    model: Path,
    provider_options: Mapping[str, str],
    session_config: Mapping[str, str],
    *,
    allow_cpu: bool = False,
    on_npu: bool = False,
) -> OrtSession:
    """Load a model on the HTP (`on_npu`: the real one, else whatever the package offers here).

    With `allow_cpu` false, ONNX Runtime raises instead of giving nodes to the CPU.
    """
    chosen = npu_devices() if on_npu else devices()
    if not chosen:
        raise ToolchainUnavailable("no QNN device of the wanted kind on this machine")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _WARNING
    for key, value in session_config.items():
        options.add_session_config_entry(key, value)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "0" if allow_cpu else "1")
    backend = {"backend_path": str(library("QnnHtp"))}
    options.add_provider_for_devices(list(chosen[:1]), backend | dict(provider_options))
    return OrtSession(onnxruntime.InferenceSession(model, sess_options=options))
