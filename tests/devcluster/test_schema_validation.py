from __future__ import annotations

from typing import Any

import pytest

from devcluster.recordings import causes, exchange, recorded, widget_schema
from dms_operator.devcluster.patches import merge_patch
from dms_operator.devcluster.schema.cel import validate_rules
from dms_operator.devcluster.schema.defaulting import apply_defaults
from dms_operator.devcluster.schema.errors import blocks_rules, incomplete
from dms_operator.devcluster.schema.prune import prune
from dms_operator.devcluster.schema.validate import FieldError, validate

SCHEMA = widget_schema()
CREATIONS = [each for each in recorded("04") if each["request"]["method"] == "POST"]
REFUSED = [each for each in CREATIONS if each["response"]["code"] == 422 and each["note"] != "name missing"]
ACCEPTED = [each for each in CREATIONS if each["response"]["code"] == 201]


def admitted(body: Any, old: Any = None) -> tuple[Any, list[str], list[FieldError]]:
    """What a server makes of a body: the object, the unknown fields and the errors."""
    pruned, unknown = prune(SCHEMA, body)
    obj = apply_defaults(SCHEMA, pruned)
    errors = validate(SCHEMA, obj)
    errors += [incomplete()] if blocks_rules(errors) else validate_rules(SCHEMA, obj, old)
    return obj, unknown, errors


@pytest.mark.parametrize("each", REFUSED, ids=lambda each: each["note"])
def test_a_refused_object_gets_the_causes_of_the_real_server(each: Any) -> None:
    _, _, errors = admitted(each["request"]["body"])
    assert [tuple(error) for error in errors] == causes(each)


@pytest.mark.parametrize("each", ACCEPTED, ids=lambda each: each["note"])
def test_an_accepted_object_is_stored_as_by_the_real_server(each: Any) -> None:
    obj, unknown, errors = admitted(each["request"]["body"])
    assert errors == []
    assert obj["spec"] == each["response"]["body"]["spec"]
    warnings = each["response"].get("warning") or []
    if "Ignore" not in str(each["request"].get("query")):
        assert warnings == [f'299 - "unknown field \\"{field}\\""' for field in unknown]


def test_strict_validation_names_the_unknown_fields() -> None:
    case = exchange("04", "unknown field, fieldValidation=Strict")
    _, unknown, _ = admitted(case["request"]["body"])
    assert unknown == ["spec.nope"]
    assert case["response"]["body"]["message"].endswith(f'unknown field "{unknown[0]}"')


def test_a_transition_rule_refuses_an_update() -> None:
    case = exchange("04", "immutable by CEL")
    live, _, _ = admitted(exchange("04", "valid, defaults filled")["request"]["body"])
    _, _, errors = admitted(merge_patch(live, case["request"]["body"]), live)
    assert [tuple(error) for error in errors] == causes(case)


def test_a_status_update_names_its_fields_below_status() -> None:
    case = exchange("05", "status fails validation")
    status = case["request"]["body"]["status"]
    errors = validate(SCHEMA["properties"]["status"], status, "status")
    assert [tuple(error) for error in [*errors, incomplete()]] == causes(case)


@pytest.mark.parametrize(
    ("schema", "value", "reason", "message"),
    [
        (
            {"type": "string", "minLength": 1},
            "",
            "FieldValueInvalid",
            'Invalid value: "": f in body should be at least 1 chars long',
        ),
        (
            {"type": "array", "minItems": 1, "items": {}},
            [],
            "FieldValueInvalid",
            "Invalid value: 0: f in body should have at least 1 items",
        ),
        (
            {"type": "object", "maxProperties": 1},
            {"a": 1, "b": 2},
            "FieldValueTooMany",
            "Too many: 2: must have at most 1 items",
        ),
        (
            {"type": "number", "exclusiveMinimum": True, "minimum": 0},
            0,
            "FieldValueInvalid",
            "Invalid value: 0: f in body should be greater than 0",
        ),
        (
            {"type": "number", "exclusiveMaximum": True, "maximum": 1},
            1,
            "FieldValueInvalid",
            "Invalid value: 1: f in body should be less than 1",
        ),
        (
            {"type": "integer", "multipleOf": 8},
            12,
            "FieldValueInvalid",
            "Invalid value: 12: f in body should be a multiple of 8",
        ),
        (
            {"type": "integer"},
            True,
            "FieldValueTypeInvalid",
            'Invalid value: "boolean": f in body must be of type integer: "boolean"',
        ),
        (
            {"type": "integer"},
            1.5,
            "FieldValueTypeInvalid",
            'Invalid value: "number": f in body must be of type integer: "number"',
        ),
        (
            {"type": "string"},
            None,
            "FieldValueTypeInvalid",
            'Invalid value: "null": f in body must be of type string: "null"',
        ),
        (
            {"type": "string", "format": "date-time"},
            "noon",
            "FieldValueTypeInvalid",
            'Invalid value: "noon": f in body must be of type date-time: "noon"',
        ),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            ["a", "a"],
            "FieldValueDuplicate",
            'Duplicate value: "a"',
        ),
        (
            {"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]},
            "c",
            "FieldValueInvalid",
            'Invalid value: "c": "f" must validate at least one schema (anyOf)',
        ),
        (
            {"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]},
            3,
            "FieldValueInvalid",
            'Invalid value: 3: "f" must validate one and only one schema (oneOf)',
        ),
        (
            {"type": "integer", "not": {"enum": [3]}},
            3,
            "FieldValueInvalid",
            'Invalid value: 3: "f" must not validate the schema (not)',
        ),
        (
            {"type": "integer", "allOf": [{"minimum": 4}]},
            3,
            "FieldValueInvalid",
            "Invalid value: 3: f in body should be greater than or equal to 4",
        ),
    ],
)
def test_every_bound_has_its_message(schema: Any, value: Any, reason: str, message: str) -> None:
    errors = validate({"type": "object", "properties": {"f": schema}}, {"f": value})
    assert [(error.type, error.message) for error in errors] == [(reason, message)]


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-11-22T21:54:42Z", "2026-13-22T21:54:42Z"),
        ("date", "2026-11-22", "22.11.2026"),
        ("duration", "1h30m", "soon"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uri", "s3://bucket/key", "not a uri"),
        ("uuid", "65e3ccad-a407-480e-9318-dd965068b75c", "65e3"),
        ("byte", "aGk=", "%%%"),
        ("email", "a@b.example", "a b"),
        ("hostname", "node-1.example", "-node"),
    ],
)
def test_formats_accept_and_refuse(form: str, good: str, bad: str) -> None:
    schema = {"type": "string", "format": form}
    assert validate(schema, good) == []
    assert len(validate(schema, bad)) == 1


def test_an_unknown_format_is_no_constraint() -> None:
    assert validate({"type": "string", "format": "colour"}, "anything") == []


def test_a_pattern_ends_where_the_text_ends() -> None:
    assert validate({"type": "string", "pattern": "^[a-z]+$"}, "abc\n") != []


def test_a_null_is_fine_where_the_schema_says_nullable() -> None:
    assert validate({"type": "string", "nullable": True}, None) == []


def test_what_did_not_change_is_not_judged_again() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}, "b": {"type": "integer"}}}
    old = {"a": "too long", "b": 1}
    assert validate(schema, {"a": "too long", "b": 2}, old=old) == []
    assert [error.field for error in validate(schema, {"a": "still too long", "b": 2}, old=old)] == ["a"]


def test_unchanged_items_of_a_map_list_correlate_by_their_keys() -> None:
    items = {"type": "object", "properties": {"key": {"type": "string"}, "size": {"type": "integer", "maximum": 1}}}
    keyed = {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}
    bad = {"key": "a", "size": 5}
    assert validate(keyed, [{"key": "b"}, bad], old=[bad]) == []
    assert len(validate({**keyed, "x-kubernetes-list-type": "atomic"}, [{"key": "b"}, bad], old=[bad])) == 1


def test_nested_fields_have_full_paths() -> None:
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "object", "required": ["x"], "properties": {"x": {}}}},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    }
    fields = [error.field for error in validate(schema, {"list": [{"x": 1}, {}], "map": {"k": "v"}})]
    assert fields == ["list[1].x", "map.k"]
