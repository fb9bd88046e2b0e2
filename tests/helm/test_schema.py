"""values.schema.json refuses what cannot be meant, at every single value, by helm's own words with its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from dms_operator.controller.settings import OWN_VARIABLES, OWN_VOLUMES
from helm.rendering import CHART, Manifest, refusal
from tools import get_helm

pytestmark = pytest.mark.skipif(not get_helm.is_available(), reason="helm is packaged for x86-64 Linux only")
SCHEMA: Manifest = json.loads((CHART / "values.schema.json").read_text())
KUBERNETES = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.37.0-local-strict"
UNKNOWN = "nobody"
TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
Place = tuple[str, ...]


def places(schema: Manifest, path: Place = ()) -> Iterator[tuple[Place, Manifest]]:
    """Every value and every group of values, by its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        if (*path, name) != ("global",):
            yield from places(child, (*path, name))


def is_group(schema: Manifest) -> bool:
    return "properties" in schema


def wrong(schema: Manifest) -> Any:
    """A value of another type."""
    found = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return 0.5 if found.get("type") == "object" else {UNKNOWN: 0.5}


def all_wrong(schema: Manifest) -> Manifest:
    """A wrong value in each place, and one more in each group."""
    given = {
        name: all_wrong(child) if is_group(child) else wrong(child)
        for name, child in schema["properties"].items()
        if child is not SCHEMA["properties"]["global"]
    }
    return {**given, UNKNOWN: 0.5}


def named(said: str, major: int) -> set[Place]:
    """The places that helm complains about."""
    lines = [line.strip().removeprefix("- ") for line in said.splitlines() if line.strip().startswith("- ")]
    if major == 3:
        words = [line.partition(": ")[0] for line in lines]
        return {() if each == "(root)" else tuple(each.split(".")) for each in words}
    words = [line.removeprefix("at '").partition("'")[0] for line in lines if "validation failed" not in line]
    return {tuple(each.split("/")[1:]) for each in words}


@pytest.mark.parametrize("major", [3, 4])
def test_every_value_of_another_type_and_every_unknown_name_is_refused_with_its_place(
    major: int, tmp_path: Path
) -> None:
    complained = named(refusal(all_wrong(SCHEMA), tmp_path, major), major)
    wanted = {path for path, _ in places(SCHEMA)}
    assert len(wanted) > 150
    assert wanted - complained == set()


@pytest.mark.parametrize("major", [3, 4])
@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"operator": {"tolerations": [{"kee": "infra"}]}}, "tolerations"),
        ({"stages": {"tolerations": [{"key": "build", "effect": "NoScheduling"}]}}, "effect"),
        ({"stages": {"affinity": {"nodeAfinity": {}}}}, "affinity"),
        ({"stages": {"affinity": {"nodeAffinity": {TERMS: [{"matchExpressions": []}]}}}}, TERMS),
        ({"operator": {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]}}, "topologySpread"),
        ({"operator": {"resources": {"limits": {"memory": "lots"}}}}, "memory"),
        ({"operator": {"resources": {"limit": {"memory": "1Gi"}}}}, "resources"),
        ({"stages": {"resources": {"convert": {"requests": {"cpu": "two"}}}}}, "cpu"),
        ({"stages": {"deadlines": {"prefetch": "soon"}}}, "prefetch"),
        ({"stages": {"podLabels": {"team": "a b"}}}, "team"),
        ({"stages": {"volumes": [{"name": "m", "mountPath": "/m", "source": {"pvc": {}}}]}}, "source"),
        ({"stages": {"volumes": [{"name": "signing", "mountPath": "/m", "source": {"emptyDir": {}}}]}}, "name"),
        ({"stages": {"env": {"DMS_REQUEST": "{}"}}}, "DMS_REQUEST"),
        ({"stages": {"podAnnotations": {"a b": "c"}}}, "podAnnotations"),
        ({"fleet": {"queries": {"p98LatencyMs": "1"}}}, "queries"),
        ({"stages": {"deadlines": {"convert": "0s"}}}, "convert"),
        ({"fleet": {"volume": {"hostPath": {"pfad": "/var/lib/dms"}}}}, "hostPath"),
        ({"networkPolicy": {"metricsFrom": [{"namespace": "monitoring"}]}}, "metricsFrom"),
        ({"networkPolicy": {"stages": {"egress": [{"port": 443}]}}}, "egress"),
        ({"networkPolicy": {"operatorEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]}}, "cidr"),
        ({"images": {"registry": "https://registry.example.com"}}, "registry"),
        ({"stages": {"proxy": {"https": "proxy example"}}}, "https"),
    ],
)
def test_what_kubernetes_would_refuse_or_drop_is_refused_before_anything_is_installed(
    given: Manifest, place: str, major: int, tmp_path: Path
) -> None:
    assert place in refusal(given, tmp_path, major).partition("schema(s)")[2]


@pytest.mark.parametrize(
    "registry", ["", "registry.example.com", "localhost:5000/dms", "[fd00::1]:5000/dms", "ghcr.io/a-b/c_d.e"]
)
def test_any_registry_is_taken(registry: str) -> None:
    pattern = SCHEMA["properties"]["images"]["properties"]["registry"]["pattern"]
    jsonschema.validate(registry, {"pattern": pattern})


def test_names_that_the_operator_keeps_for_itself_are_those_of_the_operator() -> None:
    assert SCHEMA["definitions"]["stageEnvironment"]["properties"] == dict.fromkeys(OWN_VARIABLES, False)
    stages = SCHEMA["properties"]["stages"]["properties"]
    assert tuple(stages["volumes"]["items"]["properties"]["name"]["not"]["enum"]) == OWN_VOLUMES


@pytest.mark.parametrize("change", [{"name": "artifacts"}, {"mountPath": "/artifacts"}])
def test_a_volume_that_the_artifact_store_has_already_is_refused(change: Manifest, tmp_path: Path) -> None:
    volume = {"name": "models", "mountPath": "/models", "source": {"emptyDir": {}}, **change}
    given = {"images": {"registry": "r.example.com"}, "artifactStore": {"persistence": {"enabled": True}}}
    said = refusal({**given, "stages": {"volumes": [volume]}}, tmp_path, 4)
    assert "is taken by artifactStore.persistence" in said


def test_types_of_kubernetes_have_all_of_its_fields_and_no_others() -> None:
    theirs = json.loads((KUBERNETES / "_definitions.json").read_text())["$defs"]
    groups = ("io.k8s.api.core.v1", "io.k8s.api.networking.v1", "io.k8s.apimachinery.pkg.apis.meta.v1")
    parted = ((name.rpartition("."), body) for name, body in theirs.items())
    by_kind = {kind: body for (group, _, kind), body in parted if group in groups}
    ours = {name: body for name, body in SCHEMA["definitions"].items() if name[0].isupper()}
    assert len(ours) > 12
    for name, body in ours.items():
        assert set(body["properties"]) == set(by_kind[name]["properties"]), name
        assert set(body.get("required", [])) == set(by_kind[name].get("required", [])), name
    [kinds] = SCHEMA["definitions"]["volumeSource"]["patternProperties"]
    assert {*kinds.strip("^()$").split("|"), "name"} == set(by_kind["Volume"]["properties"])
