from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from devcluster.recordings import stored_objects, widget_schema
from dms_operator.devcluster.schema.builtin import builtin_schema, merge_keys
from dms_operator.devcluster.schema.defaulting import apply_defaults
from dms_operator.devcluster.schema.prune import prune
from dms_operator.devcluster.schema.validate import validate

SCHEMA = widget_schema()
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def _schemas() -> st.SearchStrategy[dict[str, Any]]:
    leaves: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "default": "d"},
            {"type": "integer", "default": 3, "nullable": True},
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        ]
    )

    def deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        objects = st.dictionaries(NAMES, inner, max_size=3).map(lambda each: {"type": "object", "properties": each})
        maps = inner.map(lambda each: {"type": "object", "additionalProperties": each})
        lists = inner.map(lambda each: {"type": "array", "items": each})
        empty = objects.map(lambda each: {**each, "default": {}})
        return objects | maps | lists | empty

    return st.recursive(leaves, deeper, max_leaves=6)


@given(_schemas(), VALUES)
def test_defaults_applied_twice_are_defaults_applied_once(schema: dict[str, Any], value: Any) -> None:
    once = apply_defaults(schema, value)
    assert apply_defaults(schema, once) == once


@given(_schemas(), VALUES)
def test_neither_defaults_nor_pruning_change_their_input(schema: dict[str, Any], value: Any) -> None:
    schema_before, value_before = copy.deepcopy(schema), copy.deepcopy(value)
    prune(schema, apply_defaults(schema, value), resource=False)
    apply_defaults(schema, prune(schema, value, resource=False)[0])
    assert (schema, value) == (schema_before, value_before)


@given(_schemas(), VALUES)
def test_what_was_pruned_has_nothing_left_to_prune(schema: dict[str, Any], value: Any) -> None:
    pruned, unknown = prune(schema, value, resource=False)
    assert prune(schema, pruned, resource=False) == (pruned, [])
    assert (pruned == value) == (not unknown)


def test_unchanged_values_are_not_copied() -> None:
    value = {"apiVersion": "v", "kind": "K", "metadata": {}, "spec": {"size": 1, "color": "red", "items": []}}
    assert apply_defaults(SCHEMA, value) is value
    assert prune(SCHEMA, value)[0] is value


def test_defaults_reach_into_items_maps_and_defaults() -> None:
    inner = {"type": "object", "default": {}, "properties": {"x": {"type": "integer", "default": 1}}}
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": inner},
            "map": {"type": "object", "additionalProperties": inner},
            "absent": inner,
        },
    }
    filled = apply_defaults(schema, {"list": [{}, {"x": 2}], "map": {"k": {}}})
    assert filled == {"list": [{"x": 1}, {"x": 2}], "map": {"k": {"x": 1}}, "absent": {"x": 1}}


def test_a_null_gives_way_to_the_default_unless_nullable() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "d"},
            "b": {"type": "string", "default": "d", "nullable": True},
        },
    }
    assert apply_defaults(schema, {"a": None, "b": None}) == {"a": "d", "b": None}


def test_unknown_fields_are_named_by_their_whole_path() -> None:
    body = {"metadata": {"nope": 1}, "nope": 2, "spec": {"items": [{"key": "k"}, {"nope": 3}], "free": {"any": 4}}}
    pruned, unknown = prune(SCHEMA, body)
    assert unknown == ["metadata.nope", "nope", "spec.items[1].nope"]
    assert pruned == {"metadata": {}, "spec": {"items": [{"key": "k"}, {}], "free": {"any": 4}}}


def test_an_embedded_resource_keeps_its_identity() -> None:
    schema = {"type": "object", "properties": {"o": {"type": "object", "x-kubernetes-embedded-resource": True}}}
    embedded = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "nope": 1}, "spec": {}}
    pruned, unknown = prune(schema, {"o": embedded})
    assert pruned["o"] == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    assert unknown == ["o.metadata.nope", "o.spec"]


def test_the_built_in_schemas_know_and_accept_every_recorded_object() -> None:
    seen = set()
    for obj in stored_objects():
        schema = builtin_schema(obj["apiVersion"].rpartition("/")[0], obj["kind"])
        if schema is not None:
            seen.add(obj["kind"])
            assert prune(schema, obj)[1] == [], obj["kind"]
            assert [error for error in validate(schema, obj) if '"null"' not in error.message] == [], obj["kind"]
    assert {"Pod", "Job", "Node", "Event", "ConfigMap", "Secret", "Lease", "Namespace"} <= seen


def test_a_job_without_a_template_is_refused() -> None:
    schema = builtin_schema("batch", "Job")
    assert schema is not None
    assert [error.field for error in validate(schema, {"spec": {}})] == ["spec.template"]


def test_merge_keys_reach_into_pod_templates() -> None:
    keys = merge_keys("batch", "Job")
    assert keys["spec.template.spec.containers"] == "name"
    assert keys["spec.template.spec.containers.volumeMounts"] == "mountPath"
    assert keys["metadata.finalizers"] == ""
    assert "spec.template.spec.tolerations" not in keys
