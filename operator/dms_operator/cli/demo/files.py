"""What the demo lays out on disk: model, dataset, artifact store, cluster and operator settings."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

IMAGE = "dms-operator:dev"
DATASET_SAMPLES = 560
"""64 calibrate, 480 evaluate (examples/driver-monitor.yaml), and some to spare."""
DATASET_SEED = 7
"""Another seed than the training data's (examples/driver_monitor/train.py): these clips were never trained on."""

CARS = ("car-1", "car-2", "car-3")
FLEET = "fleet"
"""Where the cars keep their revisions."""


@dataclass(frozen=True)
class Layout:
    """Where things lie below the demo's directory."""

    root: Path
    """Absolute."""

    @property
    def cluster(self) -> Path:
        """Files of the dev cluster."""
        return self.root / "cluster"

    @property
    def settings(self) -> Path:
        """Operator settings."""
        return self.root / "settings.yaml"

    def volume(self, name: str) -> Path:
        """Directory behind the volume that stage pods see as `/<name>`."""
        return self.root / name


def lay_out(layout: Layout, repository: Path) -> None:
    """Write everything that cluster and operator need; the dataset of an earlier run is used again."""
    for name in ("artifacts", FLEET):
        shutil.rmtree(layout.volume(name), ignore_errors=True)
    for name in ("models", "data", "artifacts", FLEET):
        layout.volume(name).mkdir(parents=True, exist_ok=True)
    for model in (repository / "examples" / "models").glob("*.pt2"):
        shutil.copy(model, layout.volume("models"))
    render_dataset(layout.volume("data") / "dms-val.npz", repository)
    layout.settings.write_text(yaml.safe_dump(operator_settings(layout), sort_keys=False))
    cluster_config(layout).write_text(yaml.safe_dump(cluster_settings(), sort_keys=False))


def cluster_config(layout: Layout) -> Path:
    """Where the dev cluster's nodes and images are described."""
    return layout.root / "cluster.yaml"


def render_dataset(path: Path, repository: Path) -> None:
    """Render the labelled clips, unless they are there already."""
    if path.exists():
        return
    unfinished = path.with_name("unfinished.npz")
    command = [sys.executable, "-m", "driver_monitor.dataset", "--samples", str(DATASET_SAMPLES)]
    command += ["--seed", str(DATASET_SEED), "--output", str(unfinished)]
    environment = {**os.environ, "PYTHONPATH": str(repository / "examples")}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    unfinished.rename(path)


def cluster_settings() -> dict[str, Any]:
    """One build node, one board of each kind, three cars; the image is this Python environment."""
    board, vehicle = "dms.edge/board", "dms.edge/vehicle"
    return {
        "nodes": [
            {"name": "build-1", "labels": {"dms.edge/build": "true"}},
            {"name": "bench-qcs8255", "labels": {board: "qcs8255"}},
            {"name": "bench-sa8255", "labels": {board: "sa8255"}},
            {"name": "bench-sa8775", "labels": {board: "sa8775"}},
            {"name": "bench-tda4vm", "labels": {board: "tda4vm"}},
            {"name": "bench-x86", "labels": {board: "generic-x86"}},
            *({"name": car, "labels": {vehicle: "generic-x86"}, "taints": [{"key": vehicle}]} for car in CARS),
        ],
        "images": {IMAGE: {"path": [str(Path(sys.executable).parent)]}},
    }


def operator_settings(layout: Layout) -> dict[str, Any]:
    """Operator settings with the demo's directories as volumes of the stage pods."""
    toolchains = ("qnn", "snpe-sdk", "tidl", "onnxruntime")
    on_build_node = {"dms.edge/build": "true"}
    return {
        "images": {
            "resolve": IMAGE,
            "quantize": IMAGE,
            "convert": dict.fromkeys(toolchains, IMAGE),
            "benchmark": dict.fromkeys(toolchains, IMAGE),
        },
        "imagePullPolicy": "Never",
        "volumes": [_volume(layout, name, read_only=name != "artifacts") for name in ("models", "data", "artifacts")],
        "fleet": {"volume": _host_path(layout, FLEET)},
        "nodeSelectors": dict.fromkeys(("resolve", "quantize", "convert"), on_build_node),
    }


def _volume(layout: Layout, name: str, *, read_only: bool) -> dict[str, Any]:
    return {"name": name, "mountPath": f"/{name}", "readOnly": read_only, "source": _host_path(layout, name)}


def _host_path(layout: Layout, name: str) -> dict[str, Any]:
    return {"hostPath": {"path": str(layout.volume(name)), "type": "Directory"}}
