"""Revisions of a small net, made by the real stages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from dms_operator.api.catalog import ToolchainName
from dms_operator.api.stages import (
    BenchmarkRecipe,
    ConvertRecipe,
    QuantizeRecipe,
    Recipe,
    ResolveRecipe,
    StageRequest,
    StageResult,
)
from dms_operator.artifacts.store import open_store
from dms_operator.pipeline.latency import PROFILES, Profile
from dms_operator.pipeline.runner import run
from model_fixtures import tiny_classifier, tiny_dataset
from pipeline.stages import succeeded
from pipeline.vehicle.disk import DEPLOYMENT, Release


def net(path: Path, number: int) -> Path:
    """A small classifier whose classes are in another order for each number."""
    model = onnx.load(tiny_classifier(path))
    for weight in model.graph.initializer:
        if weight.name.startswith("head_"):
            turned = np.roll(numpy_helper.to_array(weight), number, axis=0)
            weight.CopyFrom(numpy_helper.from_array(turned, weight.name))
    onnx.save(model, path)
    return path


@contextmanager
def build_machine(root: Path) -> Iterator[None]:
    """Files below a folder may be read, and the shortest profile takes no longer than its queries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        patch.setitem(PROFILES, "rapid", Profile(64, 0.0))
        yield


@dataclass
class Factory:
    """The build machine: a folder with the store."""

    root: Path
    runs: int = 0

    @property
    def store(self) -> str:
        return f"file://{self.root}/store"

    def run(self, recipe: Recipe) -> StageResult:
        self.runs += 1
        workdir = self.root / f"scratch-{self.runs}"
        workdir.mkdir()
        with build_machine(self.root):
            return run(StageRequest(deployment=DEPLOYMENT, store=self.store, recipe=recipe), workdir)

    def files(self, digest: str) -> dict[str, Path]:
        with build_machine(self.root):
            return open_store(self.store).fetch(digest, self.root / "files" / digest)

    def made(self, recipe: Recipe) -> str:
        artifact = succeeded(self.run(recipe)).artifact
        assert artifact is not None
        return artifact.digest

    def release(
        self, revision: str, model: Path, board: str, toolchain: ToolchainName, options: dict[str, str] | None = None
    ) -> Release:
        dataset = self.root / "dataset.npz"
        if not dataset.exists():
            tiny_dataset(dataset)
        resolved = self.made(
            ResolveRecipe(
                image="i", model_uri=f"file://{model}", dataset_uri=f"file://{dataset}", labels_required=False
            )
        )
        fp32 = QuantizeRecipe(
            image="i", resolved=resolved, precision="fp32", method="none", toolchain="onnxruntime", metric="cosine",
            evaluation_samples=24,
        )  # fmt: skip
        changes = {"precision": "int8", "method": "static", "toolchain": toolchain, "reference": self.made(fp32)}
        variant = self.made(fp32.model_copy(update=changes))
        compiled = self.made(
            ConvertRecipe(image="i", variant=variant, board=board, toolchain=toolchain, options=options or {})
        )
        release = Release(revision, compiled, "", board, toolchain, resolved, variant)
        return Release(revision, compiled, self.made(self.benchmark(release)), board, toolchain, resolved, variant)

    @staticmethod
    def benchmark(release: Release, **changes: Any) -> BenchmarkRecipe:
        fields: dict[str, Any] = {
            "image": "i", "resolved": release.resolved, "variant": release.variant, "compiled": release.compiled,
            "board": release.board, "toolchain": release.toolchain, "profile": "rapid", "warmup": 2, "percentile": 90,
            "metric": "cosine", "simulation_samples": 8,
        }  # fmt: skip
        return BenchmarkRecipe(**(fields | changes))
