"""Every example is a deployment that admission takes."""

from pathlib import Path

import pytest
import yaml

from dms_operator.api.resource import parse_spec

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_is_valid(path: Path) -> None:
    for body in yaml.safe_load_all(path.read_text()):
        assert body["kind"] == "DMSModelDeployment" and parse_spec(body).targets
