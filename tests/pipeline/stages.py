"""Run stages in a directory as pods do, but in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dms_operator.api.stages import QuantizeRecipe, Recipe, ResolveRecipe, StageRequest, StageResult, VariantFacts
from dms_operator.artifacts.store import Store, open_store
from dms_operator.pipeline.progress import Progress, silent
from dms_operator.pipeline.runner import run


@dataclass
class Stages:
    """A directory that is the only allowed root and holds the store; each run gets a scratch directory of its own."""

    root: Path
    runs: int = 0

    @property
    def store_uri(self) -> str:
        return f"file://{self.root}/store"

    @property
    def store(self) -> Store:
        return open_store(self.store_uri, roots=(self.root,))

    def request(self, recipe: Recipe) -> StageRequest:
        return StageRequest(deployment="perception/driver-monitor", store=self.store_uri, recipe=recipe)

    def run(self, recipe: Recipe, progress: Progress = silent) -> StageResult:
        self.runs += 1
        workdir = self.root / f"scratch-{self.runs}"
        workdir.mkdir()
        return run(self.request(recipe), workdir, progress)

    def resolve(self, model: Path, dataset: Path | None = None, **fields: Any) -> StageResult:
        dataset_uri = f"file://{dataset}" if dataset else None
        return self.run(ResolveRecipe(image="test", model_uri=f"file://{model}", dataset_uri=dataset_uri, **fields))

    def quantize(self, resolved: str, **fields: Any) -> StageResult:
        defaults: dict[str, Any] = {"precision": "fp32", "method": "none", "toolchain": "qnn"}
        return self.run(QuantizeRecipe(image="test", resolved=resolved, **(defaults | fields)))

    def files(self, result: StageResult) -> dict[str, Path]:
        assert result.artifact is not None, result.failure
        self.runs += 1
        return self.store.fetch(result.artifact.digest, self.root / f"fetched-{self.runs}")


Writer = Callable[[Path], Path]


def succeeded(result: StageResult) -> StageResult:
    assert result.failure is None, result.failure
    return result


def variant_of(result: StageResult) -> VariantFacts:
    """What a quantize stage that succeeded says of its variant."""
    facts = succeeded(result).variant
    assert facts is not None
    return facts


def refused(result: StageResult, reason: str) -> str:
    """The message of a terminal failure for this reason."""
    assert result.failure is not None, "the stage succeeded"
    assert result.failure.reason == reason, result.failure
    assert not result.failure.retryable
    assert result.artifact is None
    return result.failure.message
