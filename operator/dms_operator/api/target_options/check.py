"""Whether a target's toolchain can do what its options ask, known before any stage runs."""

from collections.abc import Mapping

from ..capabilities import BoardType, ToolchainName
from ..errors import InvalidSpec
from . import qnn, snpe_sdk, tidl
from .tidl_socs import soc_of
from .values import Values

KNOWN: dict[ToolchainName, Mapping[str, Values | None]] = {
    "qnn": {key: option.values for key, option in qnn.OPTIONS.items()},
    "snpe-sdk": {key: option.values for key, option in snpe_sdk.OPTIONS.items()},
    "tidl": {option.key: option.values for option in tidl.OPTIONS},
    "onnxruntime": {},
}
"""Every option of every toolchain, and what it takes; None where that depends on the board."""


def check_options(toolchain: ToolchainName, board: BoardType, options: Mapping[str, str]) -> None:
    """Raise InvalidSpec with what to write for options that this toolchain would refuse for this board."""
    if toolchain == "qnn":
        qnn.parse_options(options, board)
    elif toolchain == "snpe-sdk":
        snpe_sdk.parse_options(options, board)
    elif toolchain == "tidl":
        # the only precision for TIDL is int8, whose variants are QDQ models
        tidl.check_prequantized(tidl.parse_options(options, soc_of(board)))
    elif options:
        raise InvalidSpec(f"toolchain {toolchain} takes no options, got {', '.join(sorted(options))}")
