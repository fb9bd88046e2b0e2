"""Which of the SDK's tool generations runs."""

from ...api.errors import InvalidSpec
from ...api.target_options.snpe_sdk import SdkOptions
from .sdk import Generation, Sdk


def chosen_generation(options: SdkOptions, sdk: Sdk) -> Generation:
    """The generation to use: the asked one, or the SDK's preferred. Raises InvalidSpec when the SDK lacks it."""
    for generation in sdk.generations:
        if options.generation in ("auto", generation):
            return generation
    raise InvalidSpec(
        f"option generation is {options.generation}, which the SDK {sdk.version} does not have complete",
        hint=f"Leave it out: the SDK has {', '.join(sdk.generations)}",
    )
