"""The real pipeline under the real operator: volumes, settings and a namespace, shared by the tests of one module.

In a cluster of your own set DMS_E2E_SETTINGS (operator settings that mount /models, /data, /artifacts, and anything
read-only at /readonly) and DMS_E2E_VOLUMES (where this machine sees the first three).
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.running import REAL_IMAGE, Cluster, Kubectl, OperatorProcess

VOLUMES = ("models", "data", "artifacts")
TOOLCHAINS = ("qnn", "snpe-sdk", "tidl", "onnxruntime")
READ_ONLY: dict[str, Any] = {
    "name": "readonly",
    "mountPath": "/readonly",
    "readOnly": True,
    "source": {"hostPath": {"path": "/sys", "type": "Directory"}},
}
"""A place where nobody may write, root neither: the process-kubelet cannot enforce readOnly on other directories."""


class RealStages:
    """Where files go that stages read, and the settings that mount them."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.directory = Path(os.environ.get("DMS_E2E_VOLUMES", directory))
        for name in VOLUMES:
            (self.directory / name).mkdir(exist_ok=True)
        self.settings = self._settings(cluster)

    def _settings(self, cluster: Cluster) -> dict[str, Any]:
        if cluster.control is None:
            if "DMS_E2E_SETTINGS" not in os.environ:
                pytest.skip("this cluster's images and volumes are not known: set DMS_E2E_SETTINGS, DMS_E2E_VOLUMES")
            given: dict[str, Any] = yaml.safe_load(Path(os.environ["DMS_E2E_SETTINGS"]).read_text())
            return given
        images = dict.fromkeys(TOOLCHAINS, REAL_IMAGE)
        return {
            "images": {"resolve": REAL_IMAGE, "quantize": REAL_IMAGE, "convert": images, "benchmark": images},
            "imagePullPolicy": "Never",
            "volumes": [*(self._volume(name) for name in VOLUMES), READ_ONLY],
            "fileRoots": [*(f"/{name}" for name in VOLUMES), READ_ONLY["mountPath"]],
            "backoffLimit": 1,
        }

    def _volume(self, name: str) -> dict[str, Any]:
        source = {"hostPath": {"path": str(self.directory / name), "type": "Directory"}}
        return {"name": name, "mountPath": f"/{name}", "readOnly": name != "artifacts", "source": source}

    def path(self, volume: str, name: str) -> Path:
        """Where a file of a volume lies on this machine."""
        return self.directory / volume / name

    def operator(self, cluster: Cluster, kubectl: Kubectl) -> OperatorProcess:
        """An operator for the namespace of this kubectl; the caller starts and stops it."""
        return OperatorProcess(cluster.kubeconfig, self.settings, self.directory, [kubectl.namespace])


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    """A deployment of the tiny classifier for one Qualcomm board; keyword arguments are merged into its spec."""
    base: dict[str, Any] = {
        "model": {"uri": "file:///models/tiny.onnx"},
        "dataset": {"uri": "file:///data/tiny.npz", "calibrationSamples": 16, "evaluationSamples": 32},
        # 32 samples without any loss prove a drop of at most 0.09
        "quantization": {"maxAccuracyDrop": 0.1},
        "targets": [{"name": "cockpit", "board": "qcs8255"}],
        "benchmark": {"profile": "rapid", "simulationSamples": 4},
        "artifacts": {"uri": "file:///artifacts"},
    }
    merged = {
        key: {**value, **spec.get(key, {})} if isinstance(value, dict) else spec.get(key, value)
        for key, value in base.items()
    }
    extra = {key: value for key, value in spec.items() if key not in base}
    return {
        "apiVersion": "dms.edge/v1alpha1",
        "kind": "DMSModelDeployment",
        "metadata": {"name": name},
        "spec": merged | extra,
    }
