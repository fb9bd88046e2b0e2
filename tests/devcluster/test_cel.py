from __future__ import annotations

from typing import Any

import pytest

from devcluster.recordings import widget_schema
from dms_operator.devcluster.schema.cel import rules_of, uses_old, validate_rules
from dms_operator.devcluster.schema.cel_values import escaped


def ruled(kind: dict[str, Any], *rules: str | dict[str, Any]) -> dict[str, Any]:
    """A schema with these rules."""
    expanded = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return {**kind, "x-kubernetes-validations": expanded}


def inside(schema: dict[str, Any]) -> dict[str, Any]:
    """An object whose field `f` has the schema."""
    return {"type": "object", "properties": {"f": schema}}


OBJECT = {
    "type": "object",
    "properties": {
        "size": {"type": "integer"},
        "rate": {"type": "number"},
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"key": {"type": "string"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
VALUE = {
    "size": 3,
    "rate": 2,
    "name": "front:left",
    "tags": ["a", "b"],
    "parts": [{"key": "x"}, {"key": "y"}],
    "labels": {"l": "1"},
}


@pytest.mark.parametrize(
    "rule",
    [
        "self.size < 5 && self.size >= 3",
        "has(self.name) && !has(self.size) || self.size == 3",
        "self.tags.all(t, t.size() == 1)",
        "self.tags.exists(t, t == 'a')",
        "self.parts.exists_one(p, p.key == 'x')",
        "self.parts.map(p, p.key) == ['x', 'y']",
        "self.parts.filter(p, p.key != 'x').size() == 1",
        "self.parts.all(p, self.parts.exists_one(q, q.key == p.key))",
        "self.name.matches('^[a-z]+:[a-z]+$')",
        "'a' in self.tags && 'l' in self.labels",
        "self.labels.all(k, self.labels[k] == '1')",
        "self.name.startsWith('front') && self.name.endsWith('left') && self.name.contains(':')",
        "self.name.split(':')[1].upperAscii() == 'LEFT'",
        "self.rate / 4.0 == 0.5",
        "self.size > 2 ? self.name != '' : false",
        "duration('90s') == duration('1m30s')",
        "string(self.size) + 'x' == '3x'",
    ],
)
def test_a_rule_that_holds_gives_no_error(rule: str) -> None:
    assert validate_rules(ruled(OBJECT, rule), VALUE) == []
    assert validate_rules(ruled(OBJECT, f"!({rule})"), VALUE) != []


def test_scalars_are_shown_and_objects_are_not() -> None:
    scalar = inside(ruled({"type": "integer"}, {"rule": "self > 1", "message": "too small"}))
    assert [tuple(e) for e in validate_rules(scalar, {"f": 1})] == [
        ("f", "FieldValueInvalid", "Invalid value: 1: too small")
    ]
    parent = inside(ruled(OBJECT, {"rule": "self.size > 1", "message": "too small"}))
    assert [tuple(e) for e in validate_rules(parent, {"f": {"size": 1}})] == [
        ("f", "FieldValueInvalid", "Invalid value: too small")
    ]


def test_a_rule_without_message_is_quoted() -> None:
    errors = validate_rules(inside(ruled({"type": "integer"}, " self > 1 ")), {"f": 1})
    assert errors[0].message == "Invalid value: 1: failed rule: self > 1"


def test_an_error_at_the_root_has_no_path() -> None:
    assert validate_rules(ruled(OBJECT, "self.size > 1"), {"size": 1})[0].field == "<nil>"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FieldValueForbidden", "Forbidden: no"),
        ("FieldValueRequired", "Required value: no"),
        ("FieldValueDuplicate", "Duplicate value: 1"),
        ("FieldValueInvalid", "Invalid value: 1: no"),
    ],
)
def test_reason_is_honoured(reason: str, message: str) -> None:
    schema = inside(ruled({"type": "integer"}, {"rule": "self > 1", "message": "no", "reason": reason}))
    assert [tuple(error) for error in validate_rules(schema, {"f": 1})] == [("f", reason, message)]


@pytest.mark.parametrize(
    ("path", "field"), [(".size", "f.size"), (".labels['l']", "f.labels.l"), (".parts", "f.parts")]
)
def test_field_path_is_honoured(path: str, field: str) -> None:
    schema = inside(ruled(OBJECT, {"rule": "false", "fieldPath": path}))
    assert validate_rules(schema, {"f": {}})[0].field == field


def test_a_message_expression_is_computed_and_falls_back_when_it_fails() -> None:
    rule = {"rule": "self.size > 5", "message": "fixed", "messageExpression": "'size is ' + string(self.size)"}
    assert validate_rules(ruled(OBJECT, rule), {"size": 1})[0].message == "Invalid value: size is 1"
    rule = {**rule, "messageExpression": "self.name"}
    assert validate_rules(ruled(OBJECT, rule), {"size": 1})[0].message == "Invalid value: fixed"


def test_a_missing_key_is_an_error_that_names_it() -> None:
    errors = validate_rules(inside(ruled(OBJECT, {"rule": "self.size > 1", "message": "too small"})), {"f": {}})
    assert errors[0].message == 'Invalid value: "object": no such key: size evaluating rule: too small'


def test_rules_run_at_every_depth() -> None:
    leaf = ruled({"type": "string"}, "self != 'bad'")
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": leaf},
            "map": {"type": "object", "additionalProperties": leaf},
            "deep": inside(leaf),
        },
    }
    value = {"list": ["ok", "bad"], "map": {"k": "bad", "l": "ok"}, "deep": {"f": "bad"}}
    assert sorted(error.field for error in validate_rules(schema, value)) == ["deep.f", "list[1]", "map.k"]


def test_a_null_is_not_judged_by_its_own_rules() -> None:
    assert validate_rules(inside(ruled({"type": "string", "nullable": True}, "false")), {"f": None}) == []


IMMUTABLE = ruled({"type": "string"}, {"rule": "self == oldSelf", "message": "immutable"})


def test_a_transition_rule_runs_only_where_an_old_value_is() -> None:
    schema = inside(IMMUTABLE)
    assert validate_rules(schema, {"f": "a"}) == []
    assert validate_rules(schema, {"f": "a"}, {}) == []
    assert validate_rules(schema, {"f": "a"}, {"f": "a"}) == []
    assert validate_rules(schema, {}, {"f": "a"}) == []
    assert [error.field for error in validate_rules(schema, {"f": "b"}, {"f": "a"})] == ["f"]


def test_items_correlate_by_the_keys_of_a_map_list() -> None:
    items = {"type": "object", "properties": {"key": {"type": "string"}, "value": IMMUTABLE}}
    keyed = {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"]}
    old = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    new = [{"key": "c", "value": "1"}, {"key": "b", "value": "changed"}, {"key": "a", "value": "1"}]
    assert [error.field for error in validate_rules(keyed, new, old)] == ["[1].value"]
    assert validate_rules({**keyed, "x-kubernetes-list-type": "atomic"}, new, old) == []


def test_a_rule_broken_before_does_not_refuse_an_update_of_something_else() -> None:
    schema = {"type": "object", "properties": {"f": ruled({"type": "integer"}, "self > 1"), "g": {"type": "integer"}}}
    assert validate_rules(schema, {"f": 0, "g": 2}, {"f": 0, "g": 1}) == []
    assert len(validate_rules(schema, {"f": -1, "g": 2}, {"f": 0, "g": 1})) == 1


def test_items_of_an_unchanged_list_are_not_judged_again() -> None:
    item = ruled({"type": "integer"}, "self > 1")
    schema = {"type": "object", "properties": {"list": {"type": "array", "items": item}, "f": IMMUTABLE}}
    assert validate_rules(schema, {"list": [0], "f": "a"}, {"list": [0]}) == []
    assert len(validate_rules(schema, {"list": [0, 2]}, {"list": [0]})) == 1


def test_old_self_inside_a_literal_is_no_transition_rule() -> None:
    assert not uses_old("self != 'oldSelf'")
    assert uses_old("self != 'x' && self == oldSelf")


def test_times_and_durations_compare_as_such() -> None:
    moment = {"type": "string", "format": "date-time"}
    schema = {"type": "object", "properties": {"a": moment, "b": moment, "d": {"type": "string", "format": "duration"}}}
    value = {"a": "2026-01-01T00:00:00+02:00", "b": "2025-12-31T23:00:00Z", "d": "1h"}
    assert validate_rules(ruled(schema, "self.a < self.b && self.b - self.a == self.d"), value) == []


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("namespace", "__namespace__"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
        ("a b", None),
    ],
)
def test_property_names_are_escaped_as_in_kubernetes(name: str, expression: str | None) -> None:
    assert escaped(name) == expression
    if expression:
        schema = ruled({"type": "object", "properties": {name: {"type": "integer"}}}, f"self.{expression} == 1")
        assert validate_rules(schema, {name: 1}) == []


def test_rules_are_compiled_once_a_schema() -> None:
    schema = widget_schema()
    assert rules_of(schema) is rules_of(schema)
    assert rules_of({"type": "object"}) is None
