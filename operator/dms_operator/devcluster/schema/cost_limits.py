"""Refusing definitions whose rules may cost too much.

Limits and words: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go and cel_validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cel_expr_python import cel

from dms_operator.devcluster.schema.cel_programs import CompileError, compiled
from dms_operator.devcluster.schema.cel_tree import syntax_tree
from dms_operator.devcluster.schema.cel_types import checking_environment
from dms_operator.devcluster.schema.cost import estimated_cost
from dms_operator.devcluster.schema.cost_bounds import Bounds, bounds_of
from dms_operator.devcluster.schema.errors import FieldError

Schema = Mapping[str, Any]

RULE_LIMIT = 10_000_000
"""Of one rule times the values that it judges (StaticEstimatedCostLimit)."""
SCHEMA_LIMIT = 100_000_000
"""Of all rules of a version (StaticEstimatedCRDCostLimit)."""
_NAMED = 4
_ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


class RuleCost(NamedTuple):
    """The most that an expression costs for one object, in the API server's units; `field` is its place."""

    field: str
    cost: int


def rule_costs(schema: Schema, path: str) -> list[RuleCost]:
    """Of all rules and message expressions of a version's schema; those that do not compile are left out."""
    return list(_costs(schema, path, 1, resource=True))


def cost_errors(costs: Sequence[RuleCost], path: str) -> Iterator[FieldError]:
    """Errors of single expressions above their limit, then of all together."""
    for field, cost in costs:
        if cost > RULE_LIMIT:
            yield _forbidden(field, _excess(f"estimated {_noun(field)} cost", cost, RULE_LIMIT))
    everything = sum(cost for _, cost in costs)
    if everything <= SCHEMA_LIMIT:
        return
    dearest = sorted(costs, key=lambda rule: -rule.cost)[:_NAMED]
    for field, cost in dearest:
        if cost >= SCHEMA_LIMIT // 100:
            words = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            yield _forbidden(field, words)
    what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    yield _forbidden(path, _excess(what, everything, SCHEMA_LIMIT))


def _costs(schema: Schema, path: str, cardinality: int | None, resource: bool = False) -> Iterator[RuleCost]:
    """`cardinality`: how many values of this schema an object may hold, None where no bound is declared."""
    if schema.get("x-kubernetes-validations") and (bounds := bounds_of(schema, resource)):
        yield from _own_costs(schema, path, bounds, cardinality, resource)
    for name, below in sorted(schema.get("properties", {}).items()):
        yield from _costs(below, f"{path}.properties[{name}]", cardinality)
    rest, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(rest, Mapping):
        yield from _costs(rest, f"{path}.additionalProperties", _times(cardinality, schema.get("maxProperties")))
    if isinstance(items, Mapping):
        yield from _costs(items, f"{path}.items", _times(cardinality, schema.get("maxItems")))


def _times(cardinality: int | None, most: int | None) -> int | None:
    return None if cardinality is None or most is None else cardinality * most


def _own_costs(
    schema: Schema, path: str, bounds: Bounds, cardinality: int | None, resource: bool
) -> Iterator[RuleCost]:
    env = checking_environment(schema, resource)
    values = bounds.cardinality if cardinality is None else cardinality
    for index, rule in enumerate(schema["x-kubernetes-validations"]):
        place = f"{path}.x-kubernetes-validations[{index}]"
        cost = _cost(env, rule["rule"], cel.Type.BOOL, bounds)
        if cost is None:
            continue
        yield RuleCost(f"{place}.rule", cost * values)
        message = rule.get("messageExpression")
        if message and (told := _cost(env, message, cel.Type.STRING, bounds)) is not None:
            yield RuleCost(f"{place}.messageExpression", told)


def _cost(env: cel.Env, expression: str, result: cel.Type, bounds: Bounds) -> int | None:
    try:
        return estimated_cost(syntax_tree(compiled(env, expression, result)), bounds)
    except CompileError:
        return None


def _noun(field: str) -> str:
    return "rule" if field.endswith(".rule") else "messageExpression"


def _excess(what: str, cost: int, limit: int) -> str:
    times = cost / limit
    factor = "more than 100" if times > 100 else f"{times:f}" if times < 1.5 else f"{times:.1f}"
    return f"{what} exceeds budget by factor of {factor}x {_ADVICE}"


def _forbidden(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")
