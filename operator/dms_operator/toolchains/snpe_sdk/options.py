"""The options that a user may give toolchain snpe-sdk in a target: its own, and those that it shares with qnn."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...api.capabilities import BoardType
from ...api.cpu_fallback import ALLOW_CPU_FALLBACK
from ...api.errors import InvalidSpec
from ..qnn import options as qnn
from .sdk import Generation, Sdk

OPTIONS: dict[str, qnn.Option] = {
    "generation": qnn.Option(("auto", "qairt", "snpe"), "auto", "auto, qairt or snpe", "which of the SDK's tools run"),
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
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise InvalidSpec(f"toolchain snpe-sdk has no option {unknown[0]!r}", hint=f"It knows {', '.join(OPTIONS)}")
    generation = options.get("generation", "auto")
    if generation not in OPTIONS["generation"].values:
        raise InvalidSpec(f"option generation is {generation!r}", hint="Write auto, qairt or snpe")
    shared = {key: value for key, value in options.items() if key in qnn.OPTIONS}
    return SdkOptions(qnn.parse_options(shared, board), generation)


def chosen_generation(options: SdkOptions, sdk: Sdk) -> Generation:
    """The generation to use: the asked one, or the SDK's preferred. Raises InvalidSpec when the SDK lacks it."""
    for generation in sdk.generations:
        if options.generation in ("auto", generation):
            return generation
    raise InvalidSpec(
        f"option generation is {options.generation}, which the SDK {sdk.version} does not have complete",
        hint=f"Leave it out: the SDK has {', '.join(sdk.generations)}",
    )
