"""What a real API server would refuse of the CRD's rules: their cost and their types (`pytest -s` prints the costs)."""

from typing import Any

from dms_operator.api.crd import custom_resource_definition
from dms_operator.devcluster.schema.cost_limits import RULE_LIMIT, SCHEMA_LIMIT, rule_costs
from dms_operator.devcluster.schema.crd import check_definition, with_defaults

SCHEMA: dict[str, Any] = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
COSTS = rule_costs(SCHEMA, "")

PER_CALL_LIMIT = 1_000_000
"""Of one rule while it runs (kubernetes apiserver/pkg/apis/cel/config.go, PerCallLimit)."""
RUN_LIMIT = 10_000_000
"""Of all rules of one object while they run (RuntimeCELCostBudget)."""
LONGEST_QUANTITY = len("999999999.999999min")


def rules(node: Any) -> int:
    if not isinstance(node, dict):
        return sum(map(rules, node)) if isinstance(node, list) else 0
    return len(node.get("x-kubernetes-validations", ())) + sum(map(rules, node.values()))


def with_quantities(node: Any) -> Any:
    """The schema in which a quantity is no longer than one that its rule takes."""
    if isinstance(node, list):
        return [with_quantities(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        kept = {key: value for key, value in node.items() if key != "x-kubernetes-int-or-string"}
        return {**kept, "type": "string", "maxLength": LONGEST_QUANTITY}
    return {key: with_quantities(value) for key, value in node.items()}


def test_nothing_of_the_crd_is_refused_when_it_is_created() -> None:
    assert check_definition(with_defaults(custom_resource_definition())) == []


def test_every_rule_compiles_against_its_schema() -> None:
    assert len(COSTS) == rules(SCHEMA)


def test_no_rule_costs_more_than_half_of_what_a_server_takes() -> None:
    for field, cost in sorted(COSTS, key=lambda rule: -rule.cost):
        print(f"{cost:>12,} {cost / RULE_LIMIT:7.2%} {field}")
    assert [field for field, cost in COSTS if cost > RULE_LIMIT / 2] == []


def test_all_rules_together_cost_less_than_half_of_what_a_server_takes() -> None:
    total = sum(cost for _, cost in COSTS)
    print(f"{total:,} of {SCHEMA_LIMIT:,}")
    assert 0 < total < SCHEMA_LIMIT / 2


def test_no_object_that_the_rules_take_exceeds_the_budget_while_they_run() -> None:
    costs = [cost for _, cost in rule_costs(with_quantities(SCHEMA), "")]
    print(f"{sum(costs):,} of {RUN_LIMIT:,}, the dearest {max(costs):,} of {PER_CALL_LIMIT:,}")
    assert max(costs) < PER_CALL_LIMIT / 2
    assert sum(costs) < RUN_LIMIT / 2
