"""Checks of the rules themselves: do they compile against their schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cel_expr_python import cel

from dms_operator.devcluster.schema.cel import uses_old
from dms_operator.devcluster.schema.cel_programs import CompileError, compiled, untyped
from dms_operator.devcluster.schema.cel_types import checking_environment
from dms_operator.devcluster.schema.errors import FieldError, invalid, required, unsupported
from dms_operator.devcluster.schema.validate import Schema

_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_STRUCT = re.compile(r" not found in struct '[^']*'")
_NUMERIC_ORDER = re.compile(
    r"ERROR: [^\n]* no matching overload for '_[<>]=?_' applied to '\((int, double|double, int)\)'\n.*\n.*\n?"
)
"""Integers and doubles compare in Kubernetes; the C++ checker cannot be told."""
_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:\\.|[^'\\])*)'\]")


def check_rules(schema: Schema, path: str, resource: bool, correlatable: bool) -> Iterator[FieldError]:
    """Errors of the rules of this one node; `correlatable`: an old value can be found for it on updates."""
    rules = schema.get("x-kubernetes-validations") or ()
    if not rules:
        return
    env = checking_environment(schema, resource)
    for index, rule in enumerate(rules):
        yield from _check_rule(schema, rule, f"{path}.x-kubernetes-validations[{index}]", env, correlatable)


def _check_rule(
    schema: Schema, rule: Mapping[str, Any], path: str, env: cel.Env, correlatable: bool
) -> Iterator[FieldError]:
    text = rule.get("rule", "")
    if not text.strip():
        yield required(f"{path}.rule", "rule is not specified")
        return
    if uses_old(text) and not correlatable:
        detail = "oldSelf cannot be used on the uncorrelatable portion of the schema"
        yield invalid(f"{path}.rule", text, detail)
    yield from _compiles(env, rule, "rule", text, cel.Type.BOOL, path)
    if rule.get("messageExpression"):
        yield from _compiles(env, rule, "messageExpression", rule["messageExpression"], cel.Type.STRING, path)
    yield from _check_message(rule, path)
    if rule.get("reason") and rule["reason"] not in _REASONS:
        yield unsupported(f"{path}.reason", rule["reason"], _REASONS)
    if rule.get("fieldPath") and (problem := _field_path_problem(schema, rule["fieldPath"])):
        yield invalid(f"{path}.fieldPath", rule["fieldPath"], f"fieldPath must be a valid path: {problem}")


def _compiles(
    env: cel.Env, rule: Mapping[str, Any], word: str, expression: str, result: cel.Type, path: str
) -> Iterator[FieldError]:
    try:
        _check_types(env, expression, result)
    except CompileError as error:
        detail = f"compilation failed: {_STRUCT.sub('', str(error))}"
        message = f"Invalid value: {_as_go(rule)}: {detail}"
        yield FieldError(f"{path}.{word}", "FieldValueInvalid", message)


def _check_types(env: cel.Env, expression: str, result: cel.Type) -> None:
    try:
        compiled(env, expression, result)
    except CompileError as error:
        if _NUMERIC_ORDER.sub("", str(error)):
            raise
        compiled(untyped(), expression, result)


def _check_message(rule: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    message = rule.get("message", "")
    if "\n" in message.strip():
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    if "\n" in rule["rule"].strip() and not message and not rule.get("messageExpression"):
        detail = "message or messageExpression must be specified if rule contains line breaks"
        yield required(f"{path}.message", detail)


def _as_go(rule: Mapping[str, Any]) -> str:
    """The rule as Go prints the internal type."""
    fields = {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _field_path_problem(schema: Schema, path: str) -> str:
    """Why the path does not lead to a property, or an empty text."""
    steps = _STEP.findall(path)
    if "".join(f".{name}" if name else f"['{key}']" for name, key in steps) != path:
        return "expected [ or . but got something else"
    node: Any = schema
    for name, key in steps:
        properties, rest = node.get("properties", {}), node.get("additionalProperties")
        node = properties.get(name or key, rest)
        if not isinstance(node, Mapping):
            return "does not refer to a valid field"
    return ""
