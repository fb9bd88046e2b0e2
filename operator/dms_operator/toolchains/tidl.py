"""TI Deep Learning for TDA4VM: says which of TI's tools are missing. They are not on PyPI, users bring them."""

import os

import onnxruntime

from ..api.capabilities import ToolchainName
from ..api.errors import ToolchainUnavailable
from .unavailable import VendorSdk

_PROVIDER = "TIDLCompilationProvider"


class Tidl(VendorSdk):
    """Compilation by TI's ONNX Runtime delegate (Ubuntu 22.04, Python 3.10), when the image carries it."""

    name: ToolchainName = "tidl"

    def missing(self) -> ToolchainUnavailable:
        """Say which of the two parts is absent."""
        if not os.environ.get("TIDL_TOOLS_PATH"):
            return ToolchainUnavailable(
                "TIDL tools are not installed in the converter image: set TIDL_TOOLS_PATH to TI's unpacked tidl_tools",
                hint="Build the image from TI's tidl_tools.tar.gz for J721E and TI's onnxruntime_tidl wheel",
            )
        if _PROVIDER not in onnxruntime.get_available_providers():
            return ToolchainUnavailable(
                f"TIDL_TOOLS_PATH is set, but this image's onnxruntime has no {_PROVIDER}",
                hint="Install TI's onnxruntime_tidl wheel in the converter image",
            )
        return ToolchainUnavailable("this release of dms-operator finds the TIDL tools, but cannot drive them yet")
