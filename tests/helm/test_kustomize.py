"""The kustomize base is the chart by other means."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from chart import kustomize
from chart.__main__ import base
from chart.kustomize import NAMESPACE, REGISTRY
from dms_operator.controller.settings import Settings
from helm.rendering import CHART, Manifest, of_kind, only, settings_of
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
REPOSITORY = CHART.parents[1]
BASE = REPOSITORY / "helm" / "kustomize"


def build(directory: Path) -> list[Manifest]:
    """What kustomize makes of a directory."""
    command = [str(Path(sys.executable).with_name("kubectl")), "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def by_identity(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(body["kind"], body["metadata"]["name"]): body for body in manifests}


def test_the_committed_base_is_the_generated_one() -> None:
    stale = [path.name for path, text in base(get_helm.helm()) if path.read_text() != text]
    assert stale == [], "run make generate"


@pytest.mark.parametrize("replicas", [1, 2])
def test_it_makes_the_objects_that_the_chart_makes(replicas: int, tmp_path: Path) -> None:
    content: Manifest = {"resources": [os.path.relpath(BASE, tmp_path)]}
    if replicas == 2:
        content["components"] = [os.path.relpath(BASE / "two-replicas", tmp_path)]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content))
    from_helm = by_identity(kustomize.render(get_helm.helm(3), CHART, f"--set=replicas={replicas}"))
    from_kustomize = by_identity([plain(body) for body in build(tmp_path)])
    definition = from_helm["CustomResourceDefinition", "dmsmodeldeployments.dms.edge"]
    del definition["metadata"]["labels"]  # the base takes the definition as it is
    settings = (parsed(made.pop(("ConfigMap", "dms-operator"))) for made in (from_helm, from_kustomize))
    assert next(settings) == next(settings)
    assert from_kustomize == from_helm


def plain(body: Manifest) -> Manifest:
    """Without the hash that kustomize appends to the ConfigMap's name, wherever that name stands."""
    if body["kind"] not in ("ConfigMap", "Deployment"):
        return body
    named: Manifest = yaml.safe_load(re.sub(r"\bdms-operator-[0-9a-z]{10}\b", "dms-operator", yaml.safe_dump(body)))
    return named


def parsed(config: Manifest) -> Any:
    return config["metadata"], yaml.safe_load(config["data"]["settings.yaml"])


def test_the_example_overlay_says_where_the_images_are() -> None:
    manifests = build(REPOSITORY / "examples" / "kustomize")
    for body in manifests:
        kubernetes_validate.validate(body, "1.37", strict=True)
    operator = only(manifests, "Deployment")
    assert operator["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.internal/dms/operator:0.1.0"
    settings = Settings.model_validate(settings_of(manifests))
    assert settings.store_secret == "artifact-store"
    assert REGISTRY not in str(of_kind(manifests, "ConfigMap"))
    assert {body["metadata"].get("namespace", NAMESPACE) for body in manifests} == {NAMESPACE}
