"""A vehicle's disk, and what its stages do to it. Imports little: the tests of kills start many processes."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dms_operator.api.stages import StageRequest, StageResult
from dms_operator.api.vehicle import ActivateRecipe, DeactivateRecipe, PrefetchRecipe
from dms_operator.pipeline.runner import run
from pipeline.stages import succeeded

NODE, DEPLOYMENT = "car-1", "perception/driver-monitor"


@dataclass(frozen=True)
class Release:
    """What a vehicle is told of a revision."""

    revision: str
    compiled: str
    benchmark: str
    board: str
    toolchain: str
    resolved: str = ""
    variant: str = ""

    def recipe(self, **changes: Any) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in ("revision", "compiled", "benchmark", "board", "toolchain")}
        return {"image": "i", "node": NODE, "deployment": DEPLOYMENT} | fields | changes


@dataclass
class Vehicle:
    """A vehicle's disk, and the store where it can be reached."""

    store: str
    """URI."""
    fleet: Path
    scratch: Path
    online: bool = True
    """Without, the store's URI leads nowhere."""

    @property
    def folder(self) -> Path:
        return self.fleet / NODE / DEPLOYMENT

    @property
    def current(self) -> str | None:
        link = self.folder / "current"
        return link.readlink().name if link.is_symlink() else None

    @property
    def revisions(self) -> set[str]:
        return {entry.name for entry in (self.folder / "revisions").iterdir()}

    def run(self, recipe: Any) -> StageResult:
        store = self.store if self.online else "s3://nowhere/at-all"
        with TemporaryDirectory(dir=self.scratch) as workdir:
            return run(StageRequest(deployment=DEPLOYMENT, store=store, recipe=recipe), Path(workdir))

    def prefetch(self, release: Release, **changes: Any) -> StageResult:
        return self.run(PrefetchRecipe(**release.recipe(**changes)))

    def activate(self, release: Release, **changes: Any) -> StageResult:
        return self.run(ActivateRecipe(**release.recipe(**changes)))

    def deactivate(self, revision: str) -> StageResult:
        return self.run(DeactivateRecipe(image="i", node=NODE, deployment=DEPLOYMENT, revision=revision))

    def update(self, release: Release) -> StageResult:
        succeeded(self.prefetch(release))
        return succeeded(self.activate(release))
