"""What a stage function gets beside its recipe, and what it gives back."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..api.stages import BenchmarkFacts, CompiledFacts, ModelFacts, VariantFacts
from ..api.vehicle import FLEET_FOLDER, FLEET_FOLDER_VARIABLE
from ..artifacts.paths import allowed_roots, sandboxed
from ..artifacts.signing import Keys, keys_of_environment
from ..artifacts.sources import input_limit_bytes
from ..artifacts.store import Store
from .progress import Progress, silent

Facts = ModelFacts | VariantFacts | CompiledFacts | BenchmarkFacts

StageOutput = tuple[dict[str, Path], Facts]
"""The files of the stage's artifact by name, and what it found out."""


@dataclass(frozen=True)
class StageContext:
    """The store to read from, a scratch directory of the stage's own, and where to report progress."""

    store: Store
    workdir: Path
    progress: Progress = silent
    roots: tuple[Path, ...] = field(default_factory=allowed_roots)
    """Directories (container paths) below which `file:` URIs may point."""
    keys: Keys = field(default_factory=keys_of_environment)
    """Keys that artifacts are signed and checked with."""
    limit_bytes: int = field(default_factory=input_limit_bytes)
    """Largest model or dataset that is fetched."""

    def fetch(self, digest: str) -> dict[str, Path]:
        """Bring an artifact's files into the scratch directory, verified; a second call copies nothing.

        Raises ArtifactMissing, DigestMismatch, SignatureInvalid, StoreFull.
        """
        into = self.workdir / "artifacts" / digest.removeprefix("sha256:")
        done = into.with_suffix(".complete")
        if done.exists():
            return {path.name: path for path in sorted(into.iterdir())}
        files = self.store.fetch(digest, into)
        self.keys.verify(digest, files, self.store.attestation(digest), self.workdir)
        done.touch()
        return files

    def scratch(self, name: str) -> Path:
        """A directory inside the scratch directory, made when missing."""
        path = self.workdir / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def fleet_folder() -> Path:
    """Where this vehicle's revisions lie, as this process sees it."""
    return sandboxed(os.environ.get(FLEET_FOLDER_VARIABLE) or FLEET_FOLDER)


@dataclass(frozen=True)
class VehicleContext:
    """What a stage on a vehicle gets: the folder that outlives it. Only prefetch opens the store, when it has to."""

    open_store: Callable[[], Store]
    workdir: Path
    """A scratch directory of the stage's own."""
    progress: Progress = silent
    fleet: Path = field(default_factory=fleet_folder)
    keys: Keys = field(default_factory=keys_of_environment)
    """Key that revisions are checked with."""
