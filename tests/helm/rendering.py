"""The chart as helm renders it, as parsed objects."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools import get_helm

CHART = Path(__file__).parents[2] / "helm" / "dms-operator"
MATRIX = sorted((CHART / "ci").glob("*.yaml"))
"""Value files, each for one way to install the operator."""
Manifest = dict[str, Any]


def helm(major: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm 3 or 4."""
    return subprocess.run([str(get_helm.helm(major)), *arguments], capture_output=True, text=True, timeout=60)


@cache
def render(values: Path | None = None, *options: str, major: int = 4) -> list[Manifest]:
    """Every manifest of a release `dms` in the namespace `dms-system`, hooks too."""
    files = [f"--values={values}"] if values else []
    done = helm(major, "template", "dms", str(CHART), "--namespace=dms-system", *files, *options)
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def refusal(values: Manifest, directory: Path, major: int) -> str:
    """What helm says about values that it refuses."""
    path = directory / "values.yaml"
    path.write_text(json.dumps(values))
    done = helm(major, "template", "dms", str(CHART), f"--values={path}")
    assert done.returncode != 0, "the values were taken"
    return done.stderr


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """The manifests of some kinds."""
    return [body for body in manifests if body["kind"] in kinds]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The one manifest of a kind, hooks aside."""
    [found] = [
        body for body in of_kind(manifests, kind) if "helm.sh/hook" not in (body["metadata"].get("annotations") or {})
    ]
    return found


def settings_of(manifests: list[Manifest]) -> Manifest:
    """The operator's settings file."""
    [found] = [body for body in of_kind(manifests, "ConfigMap") if "settings.yaml" in body["data"]]
    parsed: Manifest = yaml.safe_load(found["data"]["settings.yaml"])
    return parsed
