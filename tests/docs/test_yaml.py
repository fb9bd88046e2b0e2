"""YAML of the pages is taken: deployments, parts of their spec, settings of the operator and of the dev cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dms_operator.api.capabilities import PRECISIONS
from dms_operator.api.resource import parse_spec
from dms_operator.api.spec import DeploymentSpec, QuantizationSpec
from dms_operator.controller.rungs import rungs
from dms_operator.controller.settings import load_settings
from dms_operator.devcluster.config import DevClusterConfig
from docs.pages import REPOSITORY, fenced, pages, text_of

EXAMPLE = yaml.safe_load((REPOSITORY / "examples" / "driver-monitor.yaml").read_text())["spec"]
SETTINGS = yaml.safe_load((REPOSITORY / "examples" / "kustomize" / "settings.yaml").read_text())
SPEC = {field.alias for field in DeploymentSpec.model_fields.values()}
BLOCKS = [(page, block) for page in pages() for block in fenced(page, "yaml")]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{page}-{at}" for at, (page, _) in enumerate(BLOCKS)])
def test_a_block_of_yaml_is_taken(page: str, block: str, tmp_path: Path) -> None:
    for body in yaml.safe_load_all(block):
        if set(body) <= SPEC:
            body = {"spec": body}
        if "spec" in body:
            assert parse_spec({"spec": EXAMPLE | body["spec"]}).targets
        elif "nodes" in body:
            assert DevClusterConfig(data_directory=tmp_path, **body).nodes
        else:
            (tmp_path / "settings.yaml").write_text(yaml.safe_dump(SETTINGS | body))
            load_settings(tmp_path / "settings.yaml")


def forms() -> list[tuple[str, dict[str, Any]]]:
    """Rows of the ladder's table: the variant, and the `quantization` that asks for it alone."""
    rows = re.findall(r"^\| .* \| `(int\d-[\w-]+)` \| (`.*`) \|$", text_of("docs/quantization.md"), re.MULTILINE)
    return [(variant, yaml.safe_load("\n".join(re.findall("`([^`]+)`", asked)))) for variant, asked in rows]


@pytest.mark.parametrize(("variant", "asked"), forms(), ids=[variant for variant, _ in forms()])
def test_a_rung_is_made_alone_by_what_its_row_says(variant: str, asked: dict[str, Any]) -> None:
    precision = next(each for each in PRECISIONS if variant.startswith(each))
    spec = {**EXAMPLE, "quantization": {**asked, "precisions": [precision]}}
    quantization = parse_spec({"spec": spec}).quantization
    assert [rung.name("qnn") for rung in rungs(precision, quantization, "qnn", trainable=True)] == [variant]


def test_every_rung_of_auto_has_its_row() -> None:
    asked = QuantizationSpec()
    ladder = {rung.name("qnn") for precision in ("int8", "int4") for rung in rungs(precision, asked, "qnn", True)}
    traits = {re.sub(r"^int\d-qnn-?", "", name) for name in ladder}
    rows = {re.sub(r"^int\d-qnn-?", "", variant) for variant, _ in forms()}
    assert traits - {"percentile", "entropy"} == rows  # they share a row with mse
