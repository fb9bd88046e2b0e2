"""The options that a user may give toolchain snpe-sdk in a target: its own, and those that it shares with qnn."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..capabilities import BoardType
from ..cpu_fallback import ALLOW_CPU_FALLBACK
from . import qnn
from .values import OneOf, check_key, check_value

OPTIONS: dict[str, qnn.Option] = {
    "generation": qnn.Option(
        OneOf(("auto", "qairt", "snpe")), "auto", "auto, qairt or snpe", "which of the SDK's tools run"
    ),
} | {
    key: qnn.OPTIONS[key]
    for key in (ALLOW_CPU_FALLBACK, "soc", "htp-arch", "vtcm", "graph-optimization", "performance-mode", qnn.TIMEOUT)
}
"""Every option by its key in `targets[].options`."""


@dataclass(frozen=True)
class SdkOptions:
    """Checked options; `shared` are those that toolchain qnn has too."""

    shared: qnn.QnnOptions
    generation: str


def parse_options(options: Mapping[str, str], board: BoardType) -> SdkOptions:
    """Check the options and fill in the defaults. Raises InvalidSpec."""
    for key, value in options.items():
        check_key("snpe-sdk", key, OPTIONS)
        check_value(key, value, OPTIONS[key].values)
    shared = {key: value for key, value in options.items() if key in qnn.OPTIONS}
    return SdkOptions(qnn.parse_options(shared, board), options.get("generation", "auto"))
