from __future__ import annotations

from typing import Any

import pytest

from dms_operator.devcluster.schema.cost_bounds import bounds_of
from dms_operator.devcluster.schema.cost_limits import RULE_LIMIT, SCHEMA_LIMIT, RuleCost, cost_errors, rule_costs
from dms_operator.devcluster.schema.structural import check_schema

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
RULE = "s.x-kubernetes-validations[0].rule"


def ruled(schema: Schema, *rules: str) -> Schema:
    return {**schema, "x-kubernetes-validations": [{"rule": rule} for rule in rules]}


def root(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def costs(schema: Schema) -> list[int]:
    return [rule.cost for rule in rule_costs(schema, "s")]


ONCE = "self > 0"  # 1 for self, 1 to compare


@pytest.mark.parametrize(
    ("schema", "times"),
    [
        (ruled(NUMBER, ONCE), 1),
        ({"type": "array", "maxItems": 7, "items": ruled(NUMBER, ONCE)}, 7),
        ({"type": "object", "maxProperties": 5, "additionalProperties": ruled(NUMBER, ONCE)}, 5),
        ({"type": "array", "maxItems": 7, "items": root(n=ruled(NUMBER, ONCE))}, 7),
        (
            {
                "type": "array",
                "maxItems": 7,
                "items": {"type": "array", "maxItems": 3, "items": ruled(NUMBER, ONCE)},
            },
            21,
        ),
        ({"type": "array", "items": ruled(NUMBER, ONCE)}, 3145728 // 2),
        ({"type": "array", "items": ruled({"type": "boolean"}, "self || self")}, 3145728 // 5),
        (
            {"type": "array", "items": {"type": "array", "maxItems": 3, "items": ruled(NUMBER, ONCE)}},
            3145728 // 2,
        ),
    ],
)
def test_a_rule_counts_once_for_each_value_that_an_object_can_hold(schema: Schema, times: int) -> None:
    assert costs(root(f=schema)) == [2 * times]


def test_required_fields_without_default_make_unbounded_lists_shorter() -> None:
    item = {**root(name=TEXT, kind={**TEXT, "default": "x"}), "required": ["name", "kind"]}
    bounds = bounds_of(item)
    assert bounds is not None
    assert bounds.least == len('{"name":"",}')
    assert bounds.cardinality == 3 * 1024 * 1024 // (bounds.least + 1)


def test_fields_are_known_by_their_escaped_names() -> None:
    schema = root(**{"name-space": {**TEXT, "maxLength": 10}, "namespace": {**TEXT, "maxLength": 20}})
    rules = ("self.name__dash__space == self.name__dash__space", "self.__namespace__ == self.__namespace__")
    assert costs(ruled(schema, *rules)) == [4 + 4, 4 + 8]


def test_int_or_string_is_as_long_as_a_request_whatever_its_bound() -> None:
    """Before Kubernetes 1.34 its maxLength is not looked at (pull request 132837)."""
    free = {"x-kubernetes-int-or-string": True, "maxLength": 10}
    assert costs(root(f=ruled(free, "type(self) == string"))) == [3 + 314573]


def test_names_of_objects_are_unbounded_and_reachable_from_the_root() -> None:
    assert costs(ruled(root(), "self.metadata.name == self.metadata.name")) == [6 + 314573]


def test_a_message_expression_costs_too_and_is_told_only_once() -> None:
    rule = {"rule": "self > 0", "messageExpression": "'no: ' + self.hint"}
    item = {**root(hint={**TEXT, "maxLength": 10}), "x-kubernetes-validations": [{**rule, "rule": "true"}]}
    found = rule_costs(root(f={"type": "array", "maxItems": 9, "items": item}), "s")
    place = "s.properties[f].items.x-kubernetes-validations[0]"
    assert found == [RuleCost(f"{place}.rule", 0), RuleCost(f"{place}.messageExpression", 2 + 5)]


@pytest.mark.parametrize(
    ("cost", "factor"),
    [
        (RULE_LIMIT + 1, "1.000000x"),
        (11 * RULE_LIMIT // 10, "1.100000x"),
        (2 * RULE_LIMIT, "2.0x"),
        (99 * RULE_LIMIT // 10, "9.9x"),
    ],
)
def test_a_rule_above_the_limit_is_told_with_the_factor(cost: int, factor: str) -> None:
    [error] = cost_errors([RuleCost(RULE, cost)], "s")
    assert error.field == RULE
    assert error.message.startswith(f"Forbidden: estimated rule cost exceeds budget by factor of {factor} (try")


def test_a_rule_at_the_limit_is_taken() -> None:
    assert list(cost_errors([RuleCost(RULE, RULE_LIMIT)] * 10, "s")) == []


def test_rules_that_are_too_dear_together_are_told_with_the_four_dearest() -> None:
    dear = [RuleCost(f"r{index}", RULE_LIMIT - index) for index in range(11)]
    small = [RuleCost("small", SCHEMA_LIMIT // 100 - 1)]
    errors = list(cost_errors([*small, *dear], "s"))
    assert [error.field for error in errors] == ["r0", "r1", "r2", "r3", "s"]
    assert "contributed to estimated rule cost total" in errors[0].message
    assert "for entire OpenAPIv3 schema exceeds budget by factor of 1.1" in errors[-1].message


def test_rules_of_no_weight_are_not_named_among_the_dearest() -> None:
    small = [RuleCost(f"r{index}", SCHEMA_LIMIT // 101) for index in range(102)]
    assert [error.field for error in cost_errors(small, "s")] == ["s"]


def test_a_definition_is_refused_for_the_cost_of_its_rules() -> None:
    quadratic = ruled({"type": "array", "items": TEXT}, "self.all(a, self.exists_one(b, a == b))")
    errors = check_schema(root(f=quadratic), "s")
    assert [error.field for error in errors] == [f"s.properties[f].{RULE[2:]}"] * 2 + ["s"]
    assert check_schema(root(f={**quadratic, "maxItems": 5, "items": {**TEXT, "maxLength": 63}}), "s") == []


def test_what_costs_is_told_beside_rules_that_do_not_compile_and_not_of_a_broken_schema() -> None:
    dear = ruled({"type": "array", "items": TEXT}, "self.all(a, self.exists_one(b, a == b))")
    wrong = ruled(TEXT, "self.nope")
    told = [error.field for error in check_schema(root(f=dear, g=wrong), "s")]
    assert told == [f"s.properties[g].{RULE[2:]}", f"s.properties[f].{RULE[2:]}", f"s.properties[f].{RULE[2:]}", "s"]
    broken = {"type": "array"}
    assert [error.field for error in check_schema(root(f=dear, g=broken), "s")] == ["s.properties[g].items"]
