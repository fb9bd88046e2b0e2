"""The generated CRD: structural, bounded, described, and the one that is committed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dms_operator.api.crd import custom_resource_definition, spec_schema, status_schema

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {"$ref", "anyOf", "oneOf", "allOf", "title", "const", "additionalItems", "patternProperties"}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


SPEC = dict(nodes(spec_schema(), "spec"))
STATUS = dict(nodes(status_schema(), "status"))


def test_the_committed_crd_is_the_generated_one() -> None:
    committed = yaml.safe_load((ROOT / "crds" / "dmsmodeldeployments.yaml").read_text())
    assert committed == custom_resource_definition(), "run `make generate`"


def test_the_schema_is_structural() -> None:
    for path, schema in (SPEC | STATUS).items():
        assert not FORBIDDEN & schema.keys(), path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path


@pytest.mark.parametrize("path", [path for path in SPEC if not path.endswith("[]")])
def test_every_field_of_spec_is_described_for_kubectl_explain(path: str) -> None:
    assert len(SPEC[path].get("description", "")) >= 8


def test_every_string_and_list_of_spec_is_bounded() -> None:
    for path, schema in SPEC.items():
        if schema.get("type") == "string":
            assert {"maxLength", "enum", "pattern"} & schema.keys(), path
        if schema.get("type") == "array":
            assert "maxItems" in schema, path
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path


def test_every_list_of_status_is_bounded() -> None:
    unbounded = [path for path, node in STATUS.items() if node.get("type") == "array" and "maxItems" not in node]
    assert unbounded == []


def test_the_crd_stays_far_below_the_size_that_client_side_apply_can_record() -> None:
    assert len(yaml.safe_dump(custom_resource_definition())) < 131072


def test_an_object_that_nobody_has_seen_yet_does_not_count_as_done() -> None:
    status = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}


def test_status_takes_words_that_a_newer_operator_writes() -> None:
    assert '"enum"' not in json.dumps(status_schema())
    assert '"enum"' in json.dumps(spec_schema())
