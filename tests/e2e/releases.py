"""The chart as a release: the real helm against a cluster, with images that the dev cluster has."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import yaml

from e2e.running import CHART_REGISTRY, REPOSITORY
from tools import get_helm

CHART = REPOSITORY / "helm" / "dms-operator"


def small_values() -> dict[str, Any]:
    """Small pods (nodes of the dev cluster are as large as this machine), and a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stages = ("resolve", "quantize", "convert", "benchmark", "remove")
    return {
        "images": {"registry": CHART_REGISTRY},
        "metrics": {"port": port},
        "stages": {"resources": {stage: {"requests": {"cpu": "10m", "memory": "16Mi"}} for stage in stages}},
    }


class Release:
    """A release in a namespace; `helm(...)` runs helm there."""

    def __init__(self, kubeconfig: Path, namespace: str, scratch: Path, name: str = "dms", major: int = 4) -> None:
        self._program = get_helm.helm(major)
        self.name = name
        self.namespace = namespace
        self._values = scratch / f"{name}-values.yaml"
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), "KUBECONFIG": str(kubeconfig)}
        self._base = small_values()

    def helm(self, *arguments: str, code: int = 0) -> str:
        """Run helm in the release's namespace; raises AssertionError with its words on another exit code."""
        command = [str(self._program), f"--namespace={self.namespace}", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == code, f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def install(self, chart: Path = CHART, *options: str, **values: Any) -> str:
        """Install, and wait until it is ready."""
        return self._put("install", chart, options, values)

    def upgrade(self, chart: Path = CHART, **values: Any) -> str:
        """Upgrade, and wait until it is ready."""
        return self._put("upgrade", chart, (), values)

    def test(self) -> str:
        """`helm test`; Helm 3 looks for the log of a pod that succeeded only after it has deleted it."""
        logs = ["--logs"] if self._program == get_helm.helm() else []
        return self.helm("test", self.name, *logs, "--timeout=100s")

    def _put(self, verb: str, chart: Path, options: tuple[str, ...], values: dict[str, Any]) -> str:
        self._values.write_text(yaml.safe_dump({**self._base, **values}))
        return self.helm(verb, self.name, str(chart), "-f", str(self._values), "--wait", "--timeout=100s", *options)
