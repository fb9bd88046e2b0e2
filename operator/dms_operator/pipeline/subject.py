"""What is benchmarked: the files of three artifacts, the toolchain, samples, and the reference's answers."""

import filecmp
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..api.errors import ArtifactMissing
from ..api.stages import BenchmarkRecipe
from ..toolchains.base import Arrays, Toolchain
from ..toolchains.registry import toolchain
from .board import Board, board_at_hand
from .context import StageContext
from .dataset import Dataset
from .evaluate import Reference
from .inputs import load_samples

ROTATION_SAMPLES = 64
ROTATION_BYTES = 64 << 20
"""Inputs that queries rotate through, as LoadGen's performance sample set: as many as surely stay in memory."""


@dataclass(frozen=True)
class Subject:
    """Files, toolchain, samples, reference; and the board, where this machine is it."""

    tools: Toolchain
    compiled: Path
    """Directory of the compiled artifact."""
    model: Path
    """The variant's ONNX model."""
    original: Path
    """The fp32 ONNX model that the variant was made from."""
    dataset: Dataset
    reference: Reference
    board: Board | None
    """The board itself: this machine, or one that is connected to it; None on every other machine."""

    @property
    def models(self) -> dict[str, Path]:
        """The ONNX models that a CPU can be timed with."""
        return {"variant": self.model, "reference": self.original}

    @cached_property
    def is_reference(self) -> bool:
        """Whether the variant is the fp32 model itself."""
        return filecmp.cmp(self.model, self.original, shallow=False)

    @cached_property
    def rotation(self) -> list[Arrays]:
        """Samples of the dataset for queries to rotate through; at least one."""
        chosen: list[Arrays] = []
        room = ROTATION_BYTES
        for index in self.reference.indices[:ROTATION_SAMPLES]:
            sample = self.dataset.feed(int(index))
            room -= sum(array.nbytes for array in sample.values())
            if chosen and room < 0:
                break
            chosen.append(sample)
        return chosen


def subject(recipe: BenchmarkRecipe, context: StageContext) -> Subject:
    """Fetch the three artifacts. Raises ArtifactMissing, DatasetInvalid, ToolchainUnavailable, ConversionFailed."""
    resolved, variant, compiled = (
        context.fetch(digest) for digest in (recipe.resolved, recipe.variant, recipe.compiled)
    )
    if "model.onnx" not in variant or "manifest.json" not in compiled:
        raise ArtifactMissing("the variant or the compiled artifact lacks its files", hint="Run its stage again")
    tools, directory = toolchain(recipe.toolchain), compiled["manifest.json"].parent
    return Subject(
        tools=tools,
        compiled=directory,
        model=variant["model.onnx"],
        original=resolved["model.onnx"],
        dataset=load_samples(resolved, context.limit_bytes, labels_required=recipe.metric != "cosine"),
        reference=Reference.load(variant),
        board=board_at_hand(tools, recipe.board, context),
    )
