"""docs/your-model.md: its Python writes a model and a dataset that its YAML's stages take."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dms_operator.api.resource import parse_spec
from pipeline.stages import Stages, succeeded, variant_of

PAGE = Path(__file__).parents[2] / "docs" / "your-model.md"


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return found


def test_the_pages_python_writes_what_its_yaml_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMS_FILE_ROOTS", str(tmp_path))
    subprocess.run([sys.executable, "-c", "".join(blocks("python"))], cwd=tmp_path, check=True, env=os.environ)
    spec = parse_spec(yaml.safe_load(blocks("yaml")[0]))
    stages = Stages(tmp_path)
    model, data = (tmp_path / Path(uri).name for uri in (spec.model.uri, spec.dataset.uri))
    resolved = succeeded(stages.resolve(model, data, labels_required=True))
    assert resolved.model is not None and resolved.artifact is not None
    assert [each.name for each in resolved.model.inputs] == ["eye"]
    samples = {
        "metric": spec.dataset.metric,
        "calibration_samples": spec.dataset.calibration_samples,
        "evaluation_samples": spec.dataset.evaluation_samples,
    }
    reference = variant_of(stages.quantize(resolved.artifact.digest, **samples))
    assert (reference.accuracy.metric, reference.accuracy.samples, reference.notes) == ("mae", 400, "")
    assert reference.accuracy.value < 1e-5
