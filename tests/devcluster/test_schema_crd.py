from __future__ import annotations

import copy
from typing import Any

import pytest

from devcluster.recordings import causes, exchange, widget_definition
from dms_operator.devcluster.schema.crd import check_definition, established, with_defaults

NOW = "2026-11-22T21:54:39Z"
PLACE = "spec.validation.openAPIV3Schema"


def definition(**spec_properties: Any) -> dict[str, Any]:
    """The recorded definition whose spec has these properties instead."""
    crd = copy.deepcopy(widget_definition())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "properties": spec_properties}
    return crd


def found(crd: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error.field.removeprefix(f"{PLACE}.properties[spec]."), error.message) for error in check_definition(crd)]


@pytest.mark.parametrize("note", ["CRD whose name does not match", "CRD with a CEL rule on a missing field"])
def test_a_refused_definition_gets_the_causes_of_the_real_server(note: str) -> None:
    case = exchange("03", note)
    errors = check_definition(with_defaults(case["request"]["body"]))
    assert [tuple(error) for error in errors] == causes(case)


def test_a_definition_is_stored_and_established_as_by_the_real_server() -> None:
    created = with_defaults(widget_definition())
    assert check_definition(created) == []
    answer = exchange("03", "create CRD")["response"]["body"]
    assert (created["spec"], created["status"]) == (answer["spec"], answer["status"])
    later = exchange("03", "CRD established")["response"]["body"]
    assert established(created, NOW)["status"] == later["status"]


def test_establishing_again_changes_nothing() -> None:
    once = established(with_defaults(widget_definition()), NOW)
    assert established(once, "2030-01-01T00:00:00Z") == once


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({}, "properties[f].type", "Required value: must not be empty for specified object fields"),
        ({"type": "array"}, "properties[f].items", "Required value: must be specified"),
        (
            {"type": "array", "items": {}},
            "properties[f].items.type",
            "Required value: must not be empty for specified array items",
        ),
        (
            {"type": "string", "const": "x"},
            "properties[f].const",
            'Forbidden: unknown field "const" in a structural schema',
        ),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "properties[f].uniqueItems",
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
        (
            {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
            "properties[f].additionalProperties",
            "Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        ({"type": "string", "default": 1}, "properties[f].default", 'Invalid value: "integer": <nil>'),
        (
            {"type": "string", "anyOf": [{"type": "string"}]},
            "properties[f].anyOf[0].type",
            "Forbidden: must be empty to be structural",
        ),
        (
            {"type": "string", "x-kubernetes-list-type": "set"},
            "properties[f].type",
            'Invalid value: "string": must be array if x-kubernetes-list-type is specified',
        ),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"},
            "properties[f].x-kubernetes-list-map-keys",
            "Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            {"type": "integer", "exclusiveMinimum": 0},
            "properties[f].exclusiveMinimum",
            "Invalid value: 0: must be a boolean beside maximum or minimum",
        ),
    ],
)
def test_a_schema_that_is_not_structural_is_refused(schema: dict[str, Any], field: str, message: str) -> None:
    errors = found(definition(f=schema))
    assert [error[0] for error in errors] == [field]
    assert errors[0][1].startswith(message.partition("<nil>")[0])


@pytest.mark.parametrize("pattern", ["(", "^(?!bad)", r"(a)\1", "a{1,1001}", r"a\Z", "(?>a)", "a++", "[a"])
def test_a_pattern_that_go_cannot_compile_is_refused(pattern: str) -> None:
    assert [error[0] for error in found(definition(f={"type": "string", "pattern": pattern}))] == [
        "properties[f].pattern"
    ]


@pytest.mark.parametrize("pattern", ["^(a|b){1,1000}$", r"\p{L}+", "(?i)x", "(?P<name>a)"])
def test_a_pattern_that_go_knows_is_taken(pattern: str) -> None:
    assert found(definition(f={"type": "string", "pattern": pattern})) == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"rule": "self >"}, "Syntax error"),
        ({"rule": "self.size()"}, "cel expression must evaluate to a bool"),
        ({"rule": "self > 1"}, "no matching overload"),
        ({"rule": "nope(self)"}, "undeclared reference"),
        ({"rule": ""}, "Required value: rule is not specified"),
        ({"rule": "dyn(self)"}, "cel expression must evaluate to a bool"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression must evaluate to a string"),
        ({"rule": "true", "messageExpression": "self +"}, "messageExpression compilation failed"),
        ({"rule": "true", "messageExpression": " "}, "messageExpression must be non-empty if specified"),
        ({"rule": "true", "message": " "}, "message must be non-empty if specified"),
        ({"rule": "true ||\nfalse"}, "message must be specified if rule contains line breaks"),
        ({"rule": "true", "optionalOldSelf": True}, "may not be set if oldSelf is not used in rule"),
        ({"rule": "self.matches('(')"}, "invalid matches argument: error parsing regexp"),
        ({"rule": "self.matches('^(?!bad)')"}, "invalid matches argument: error parsing regexp"),
        ({"rule": "self in ['a', 1]"}, "expected type 'string' but found 'int'"),
        ({"rule": "{'a': 1, 'b': 'x'}.size() == 2"}, "expected type 'int' but found 'string'"),
        ({"rule": "cel.bind(x, self, x == '')"}, "undeclared reference"),
        ({"rule": "math.greatest(1, 2) == 2"}, "undeclared reference"),
        ({"rule": "self.reverse() == self"}, "undeclared reference"),
        ({"rule": "true", "reason": "Nope"}, 'Unsupported value: "Nope"'),
        ({"rule": "true", "fieldPath": ".nope"}, "does not refer to a valid field"),
        ({"rule": "true", "message": "two\nlines"}, "message must not contain line breaks"),
    ],
)
def test_a_broken_rule_is_refused(rule: dict[str, Any], message: str) -> None:
    errors = found(definition(f={"type": "string", "x-kubernetes-validations": [rule]}))
    assert len(errors) == 1
    assert message in errors[0][1]


@pytest.mark.parametrize(
    ("schema", "lost"),
    [
        ({"type": "array", "maxItems": 5, "items": {}}, ""),
        ({"type": "array", "maxItems": 5, "items": {"type": "object", "properties": {"x": {}}}}, ""),
        ({"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"x": {}}}, ""),
        ({"type": "object", "properties": {"x": {"type": "array", "maxItems": 5, "items": {}}}}, ".properties[x]"),
    ],
)
def test_old_self_where_no_old_value_can_be_found_is_refused(schema: dict[str, Any], lost: str) -> None:
    schema = copy.deepcopy(schema)
    node = schema
    while node.get("type"):
        node = node["items"] if "items" in node else node["properties"]["x"]
    node |= {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    [(_, message)] = found(definition(f=schema))
    place = f"{PLACE}.properties[spec].properties[f]{lost}"
    assert message.endswith(f"cannot be used on the uncorrelatable portion of the schema within {place}")


def test_a_default_that_breaks_a_rule_is_refused() -> None:
    rule = {"rule": "self.matches('^[0-9]+ms$')", "message": "write 50ms"}
    schema = {"type": "string", "default": "50", "x-kubernetes-validations": [rule]}
    assert found(definition(f=schema)) == [("properties[f].default", 'Invalid value: "50": write 50ms')]
    assert found(definition(f={**schema, "default": "50ms"})) == []


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("self.rate == 1", "'_==_' applied to '(double, int)'"),
        ("self.rate * 2 > 1.0", "'_*_' applied to '(double, int)'"),
        ("self.rate + self.count > 1.0", "'_+_' applied to '(double, int)'"),
        ("self.count == 'x'", "'_==_' applied to '(int, string)'"),
        ("self.nope == 1", "undefined field 'nope'"),
        ("self.time == '2026-01-01T00:00:00Z'", "applied to '(google.protobuf.Timestamp, string)'"),
        ("self.wait < 5", "applied to '(google.protobuf.Duration, int)'"),
        ("self.word == 1", "'_==_' applied to '(string, int)'"),
        ("self.labels.a == 1", "'_==_' applied to '(string, int)'"),
        ("self.namespace == ''", "undefined field 'namespace'"),
    ],
)
def test_a_rule_that_mixes_types_is_refused(rule: str, problem: str) -> None:
    properties = {
        "rate": {"type": "number"},
        "count": {"type": "integer"},
        "time": {"type": "string", "format": "date-time"},
        "wait": {"type": "string", "format": "duration"},
        "word": {"type": "string", "enum": ["a", "b"]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "namespace": {"type": "string"},
    }
    schema = {"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]}
    [(_, message)] = found(definition(f=schema))
    assert problem in message


@pytest.mark.parametrize(
    "rule",
    [
        "self.labels.all(k, self.labels[k] != '')",
        "self.list.exists(x, x.__namespace__ == 'a')",
        "self.rate > 0 && self.rate < 1.5",
        "self.count > 1.5 && 2.5 >= self.count && self.rate >= self.count",
        "self.rate > 0 && double(self.count) * self.rate >= 5",
        "self.time < timestamp('2026-01-01T00:00:00Z')",
        "self.port == 1 || self.port == 'http'",
        "self.maybe == null || self.maybe.size() > 1",
        "self.list.all(x, x.__namespace__.size() < 9) && self.list.map(x, x.__namespace__) == ['a']",
        "self.wait > duration('1s') && self.word in ['a', 'b']",
        "!has(oldSelf.rate) || oldSelf.rate <= self.rate",
        "self.?labels[?'a'].orValue('') == ''",
        "self.matrix.all(row, row.all(cell, cell > 0))",
        "self.byKey['a'].x == 1",
    ],
)
def test_rules_are_checked_against_the_types_of_the_schema(rule: str) -> None:
    number = {"type": "integer"}
    properties = {
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "list": {
            "type": "array",
            "maxItems": 9,
            "items": {"type": "object", "properties": {"namespace": {"type": "string"}}},
        },
        "rate": {"type": "number"},
        "count": number,
        "time": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": True},
        "maybe": {"type": "string", "nullable": True},
        "matrix": {"type": "array", "maxItems": 9, "items": {"type": "array", "maxItems": 9, "items": number}},
        "wait": {"type": "string", "format": "duration"},
        "word": {"type": "string", "enum": ["a", "b"]},
        "byKey": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": number}}},
    }
    crd = definition(f={"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]})
    assert found(crd) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda spec: spec.update(scope="Galaxy"), "spec.scope"),
        (lambda spec: spec["versions"].clear(), "spec.versions"),
        (lambda spec: spec["versions"][0].update(schema={}), "spec.versions[0].schema.openAPIV3Schema"),
        (lambda spec: spec["names"].update(listKind="Widget"), "spec.names.listKind"),
        (lambda spec: spec["names"].update(shortNames=["Bad_Name"]), "spec.names.shortNames[0]"),
        (
            lambda spec: spec["versions"][0]["additionalPrinterColumns"][0].update(type="text"),
            "spec.additionalPrinterColumns[0].type",
        ),
        (
            lambda spec: spec["versions"][0]["additionalPrinterColumns"][0].update(jsonPath="status.phase"),
            "spec.additionalPrinterColumns[0].JSONPath",
        ),
        (lambda spec: spec["names"].update(plural="Widgets"), "metadata.name spec.names.plural"),
        (
            lambda spec: spec["versions"][0]["additionalPrinterColumns"][0].pop("jsonPath"),
            "spec.additionalPrinterColumns[0].JSONPath",
        ),
    ],
)
def test_a_definition_that_cannot_be_served_is_refused(change: Any, field: str) -> None:
    crd = copy.deepcopy(widget_definition())
    change(crd["spec"])
    assert [error.field for error in check_definition(crd)] == field.split()


def test_group_scope_and_names_cannot_be_changed() -> None:
    crd = copy.deepcopy(widget_definition())
    crd["spec"]["scope"] = "Cluster"
    assert [str(error) for error in check_definition(crd, widget_definition())] == [
        'spec.scope: Invalid value: "Cluster": field is immutable'
    ]
