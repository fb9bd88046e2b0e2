from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from devcluster.recordings import recorded, widget_schema
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.schema.builtin import builtin_schema
from dms_operator.devcluster.schema.openapi import group_document

RECORDED = recorded("03")[-1]["response"]["body"]
WIDGETS = ResourceInfo(
    group="demo.example",
    version="v1",
    plural="widgets",
    kind="Widget",
    custom=True,
    schema=widget_schema(),
    subresources=("status",),
)


def jobs() -> ResourceInfo:
    schema = builtin_schema("batch", "Job")
    return ResourceInfo(group="batch", version="v1", plural="jobs", kind="Job", schema=schema, subresources=("status",))


def without_descriptions(node: Any) -> Any:
    if isinstance(node, dict):
        texts = [name for name in node if name == "description" and isinstance(node[name], str)]
        return {name: without_descriptions(below) for name, below in node.items() if name not in texts}
    return [without_descriptions(below) for below in node] if isinstance(node, list) else node


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/components/schemas/")
        for below in node.values():
            yield from references(below)
    elif isinstance(node, list):
        for below in node:
            yield from references(below)


def test_the_paths_of_a_definition_are_those_of_the_real_server() -> None:
    document = without_descriptions(group_document([WIDGETS]))
    want = without_descriptions(RECORDED)
    assert document["paths"] == want["paths"]
    assert (document["openapi"], document["info"]) == (want["openapi"], want["info"])


def test_the_models_of_a_definition_are_those_of_the_real_server() -> None:
    models = without_descriptions(group_document([WIDGETS])["components"]["schemas"])
    want = without_descriptions(RECORDED["components"]["schemas"])
    for name in ("example.demo.v1.Widget", "example.demo.v1.WidgetList"):
        assert models[name] == want[name]
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert want[meta]["properties"].keys() <= models[meta]["properties"].keys()
    for name, node in want[meta]["properties"].items():
        assert models[meta]["properties"][name] == node, name


def test_descriptions_are_kept_for_explain() -> None:
    model = group_document([WIDGETS])["components"]["schemas"]["example.demo.v1.Widget"]
    assert model["properties"]["spec"]["properties"]["size"]["description"] == "How many."


def test_no_reference_dangles() -> None:
    for resource in (WIDGETS, jobs(), ResourceInfo(group="", version="v1", plural="things", kind="Thing")):
        document = group_document([resource])
        assert set(references(document)) <= document["components"]["schemas"].keys()
        assert "$name" not in json.dumps(document)


def test_explain_finds_the_pod_template_of_a_job() -> None:
    models = group_document([jobs()])["components"]["schemas"]
    spec = models["io.k8s.api.batch.v1.JobSpec"]["properties"]
    assert spec["backoffLimit"]["description"]
    containers = models["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["items"] == {"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}


def test_a_patch_says_that_the_server_validates_fields() -> None:
    operation = group_document([jobs()])["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"]
    assert operation["x-kubernetes-group-version-kind"] == {"group": "batch", "version": "v1", "kind": "Job"}
    assert "fieldValidation" in [each["name"] for each in operation["parameters"]]
    assert "application/strategic-merge-patch+json" in operation["requestBody"]["content"]


def test_cluster_scoped_resources_of_the_core_group_have_plain_paths() -> None:
    nodes = ResourceInfo(group="", version="v1", plural="nodes", kind="Node", namespaced=False)
    assert set(group_document([nodes])["paths"]) == {"/api/v1/nodes", "/api/v1/nodes/{name}"}


def test_a_kind_without_schema_keeps_unknown_fields() -> None:
    document = group_document([ResourceInfo(group="", version="v1", plural="things", kind="Thing")])
    assert document["components"]["schemas"]["io.k8s.api.core.v1.Thing"]["x-kubernetes-preserve-unknown-fields"]
