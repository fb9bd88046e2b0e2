"""CEL rules of a schema (`x-kubernetes-validations`), compiled once a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from dms_operator.devcluster.schema.cel_programs import EvaluationError, run, runnable, running
from dms_operator.devcluster.schema.cel_values import Convert, converter
from dms_operator.devcluster.schema.correlate import UNKNOWN, old_item, old_items, old_property
from dms_operator.devcluster.schema.errors import FieldError, duplicate, invalid, required
from dms_operator.devcluster.schema.validate import Schema

_OLD_SELF = re.compile(r"\boldSelf\b")
_LITERALS = re.compile(r"'(\\.|[^'\\])*'|\"(\\.|[^\"\\])*\"")
_CACHE_SIZE = 256  # definitions of one cluster, with room for their updates


@dataclass(frozen=True)
class Rule:
    """One compiled rule."""

    rule: str
    program: cel.Expression
    message: str
    message_program: cel.Expression | None
    reason: str
    field_path: str
    uses_old: bool

    @property
    def name(self) -> str:
        """How errors call the rule."""
        return self.message or self.rule


@dataclass(frozen=True)
class RuleNode:
    """A place in a schema that has rules, itself or below; `transition`: some of them look at oldSelf."""

    schema: Schema
    rules: tuple[Rule, ...]
    convert: Convert | None
    properties: Mapping[str, RuleNode]
    values: RuleNode | None
    items: RuleNode | None
    transition: bool


_compiled: dict[int, tuple[Schema, RuleNode | None]] = {}


def validate_rules(schema: Schema, value: Any, old: Any = None) -> list[FieldError]:
    """Errors of all rules at any depth.

    Rules with `oldSelf` run only where an old value correlates; on updates the other rules run only on what
    changed (ratcheting). Raises CompileError for a rule that check_definition would have refused.
    """
    node = rules_of(schema)
    if node is None:
        return []
    return list(_evaluate(node, value, UNKNOWN if old is None else old, "", True))


def rules_of(schema: Schema) -> RuleNode | None:
    """The compiled rules of a schema, None when it has none; remembered by the identity of the schema."""
    known = _compiled.get(id(schema))
    if known is None or known[0] is not schema:
        while len(_compiled) >= _CACHE_SIZE:
            _compiled.pop(next(iter(_compiled)))
        known = _compiled[id(schema)] = (schema, _node(schema))
    return known[1]


def uses_old(expression: str) -> bool:
    """Whether this is a transition rule."""
    return _OLD_SELF.search(_LITERALS.sub("", expression)) is not None


def _node(schema: Schema) -> RuleNode | None:
    rules = tuple(_rule(rule) for rule in schema.get("x-kubernetes-validations", ()))
    found = {name: _node(below) for name, below in schema.get("properties", {}).items()}
    properties = {name: node for name, node in found.items() if node}
    rest = schema.get("additionalProperties")
    values = _node(rest) if isinstance(rest, Mapping) else None
    items = _node(schema["items"]) if "items" in schema else None
    below = [*properties.values(), *(node for node in (values, items) if node)]
    if not rules and not below:
        return None
    transition = any(rule.uses_old for rule in rules) or any(node.transition for node in below)
    return RuleNode(schema, rules, converter(schema), properties, values, items, transition)


def _rule(rule: Mapping[str, Any]) -> Rule:
    message = rule.get("messageExpression", "")
    return Rule(
        rule["rule"].strip(),
        runnable(rule["rule"]),
        rule.get("message", "").strip(),
        runnable(message) if message else None,
        rule.get("reason") or "FieldValueInvalid",
        rule.get("fieldPath", ""),
        uses_old(rule["rule"]),
    )


def _evaluate(node: RuleNode, value: Any, old: Any, path: str, around: bool) -> Iterator[FieldError]:
    """`around`: whether what contains the value changed."""
    if value is None:
        return
    changed = around and (old is UNKNOWN or value != old)
    if not changed and not node.transition:
        return
    if node.rules:
        yield from _own_rules(node, value, old, changed, path)
    if isinstance(value, dict):
        yield from _members(node, value, old, path, changed)
    elif isinstance(value, list) and node.items:
        correlated = old_items(node.schema, old)
        for index, item in enumerate(value):
            before = old_item(node.schema, correlated, item)
            yield from _evaluate(node.items, item, before, f"{path}[{index}]", changed)


def _members(node: RuleNode, value: dict[str, Any], old: Any, path: str, changed: bool) -> Iterator[FieldError]:
    for name in sorted(value) if node.values else [name for name in node.properties if name in value]:
        below = node.properties.get(name, node.values)
        if below:
            place = f"{path}.{name}" if path else name
            yield from _evaluate(below, value[name], old_property(old, name), place, changed)


def _own_rules(node: RuleNode, value: Any, old: Any, changed: bool, path: str) -> Iterator[FieldError]:
    comparable = old is not UNKNOWN and old is not None
    convert = node.convert or (lambda same: same)
    data = {"self": convert(value), **({"oldSelf": convert(old)} if node.transition and comparable else {})}
    activation = running().Activation(data)
    for rule in node.rules:
        if (comparable if rule.uses_old else changed) and (error := _broken(rule, activation, node, value, path)):
            yield error


def _broken(rule: Rule, activation: cel.Activation, node: RuleNode, value: Any, path: str) -> FieldError | None:
    try:
        if run(rule.program, activation) is True:
            return None
    except EvaluationError as error:
        return invalid(path or "<nil>", node.schema.get("type", ""), _failure(str(error), rule))
    return _error(rule, _detail(rule, activation), value, path)


def _failure(error: str, rule: Rule) -> str:
    if error == "no such overload":
        words = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{error}': {words}: {rule.name}"
    return f"{error} evaluating rule: {rule.name}"


def _detail(rule: Rule, activation: cel.Activation) -> str:
    """The message; an expression that fails or gives an empty or broken line falls back to the fixed one."""
    fixed = rule.message or f"failed rule: {rule.rule}"
    if rule.message_program is None:
        return fixed
    try:
        text = run(rule.message_program, activation)
    except EvaluationError:
        return fixed
    return text.strip() if isinstance(text, str) and text.strip() and "\n" not in text else fixed


def _error(rule: Rule, detail: str, value: Any, path: str) -> FieldError:
    """Scalars are shown in the message, objects and lists are not (Kubernetes 1.36)."""
    field = (path + re.sub(r"\['([^']*)'\]", r".\1", rule.field_path)).lstrip(".") or "<nil>"
    if rule.reason == "FieldValueForbidden":
        return FieldError(field, rule.reason, f"Forbidden: {detail}")
    if rule.reason == "FieldValueRequired":
        return required(field, detail)
    if rule.reason == "FieldValueDuplicate":
        return duplicate(field, value)
    if isinstance(value, dict | list):
        return FieldError(field, rule.reason, f"Invalid value: {detail}")
    return invalid(field, value, detail)
