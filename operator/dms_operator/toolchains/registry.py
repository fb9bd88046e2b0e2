"""Toolchains by name. Modules are imported on demand: an image carries only the toolchains it needs."""

from importlib import import_module
from typing import cast

from ..api.capabilities import ToolchainName
from .base import Toolchain

_CLASSES: dict[ToolchainName, tuple[str, str]] = {
    "qnn": (".qnn.toolchain", "Qnn"),
    "onnxruntime": (".onnxruntime_cpu", "OnnxRuntimeCpu"),
    "tidl": (".tidl", "Tidl"),
    "snpe-sdk": (".snpe_sdk.toolchain", "SnpeSdk"),
}


def toolchain(name: ToolchainName) -> Toolchain:
    """The toolchain of that name, ready to use."""
    module, attribute = _CLASSES[name]
    return cast(Toolchain, getattr(import_module(module, __package__), attribute)())
