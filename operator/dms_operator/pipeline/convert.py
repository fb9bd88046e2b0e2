"""Stage convert: compile a variant for a board."""

from ..api.errors import ArtifactMissing
from ..api.stages import CompiledFacts, ConvertRecipe
from ..toolchains.registry import toolchain
from .context import StageContext, StageOutput

MODEL = "model.onnx"


def run(recipe: ConvertRecipe, context: StageContext) -> StageOutput:
    """Compile the variant's model by the recipe's toolchain.

    Raises ToolchainUnavailable, UnsupportedOperators, ConversionFailed, WrongTarget, InvalidSpec, ArtifactMissing,
    ConverterKilled.
    """
    files = context.fetch(recipe.variant)
    if MODEL not in files:
        raise ArtifactMissing(f"the variant {recipe.variant} holds no {MODEL}")
    compiler = toolchain(recipe.toolchain)
    workdir = context.scratch("convert")
    compiled = compiler.convert(files[MODEL], recipe.board, recipe.options, workdir, context.progress)
    facts: CompiledFacts = compiled.facts
    return compiled.files, facts
