"""The resolved artifact's dataset, for stages after quantize."""

from pathlib import Path

from ..api.errors import ArtifactMissing
from ..toolchains.onnx_graph import read_graph
from .dataset import Dataset, load_dataset
from .onnx_file import inputs_of


def load_samples(resolved: dict[str, Path], limit_bytes: int, *, labels_required: bool) -> Dataset:
    """Read `dataset.npz` for the inputs of `model.onnx`. Raises ArtifactMissing, DatasetInvalid."""
    for name in ("model.onnx", "dataset.npz"):
        if name not in resolved:
            raise ArtifactMissing(f"the resolved artifact lacks {name}", hint="Run its resolve stage again")
    model = read_graph(resolved["model.onnx"])
    return load_dataset(resolved["dataset.npz"], inputs_of(model), limit_bytes, labels_required)
