"""Qualcomm's own SNPE/QAIRT SDK: says that it is missing. It needs a Qualcomm licence, users bring it."""

import os

from ..api.capabilities import ToolchainName
from ..api.errors import ToolchainUnavailable
from .unavailable import VendorSdk

_VARIABLES = ("QAIRT_SDK_ROOT", "QNN_SDK_ROOT", "SNPE_ROOT")


class SnpeSdk(VendorSdk):
    """Compilation by the SDK's command line tools, when the image mounts the SDK."""

    name: ToolchainName = "snpe-sdk"

    def missing(self) -> ToolchainUnavailable:
        """Say how to bring the SDK, or that this release cannot drive it."""
        if not any(os.environ.get(variable) for variable in _VARIABLES):
            return ToolchainUnavailable(
                f"the QAIRT/SNPE SDK is not installed in the converter image: set one of {', '.join(_VARIABLES)}",
                hint="Toolchain qnn compiles for the same boards and needs no SDK",
            )
        return ToolchainUnavailable(
            "this release of dms-operator finds the QAIRT/SNPE SDK, but cannot drive it yet",
            hint="Toolchain qnn compiles for the same boards",
        )
