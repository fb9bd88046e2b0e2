"""Checks of the rules themselves: do they compile against their schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cel_expr_python import cel

from dms_operator.devcluster.schema.cel import uses_old
from dms_operator.devcluster.schema.cel_literals import literal_problems
from dms_operator.devcluster.schema.cel_programs import CompileError, checked
from dms_operator.devcluster.schema.cel_tree import syntax_tree
from dms_operator.devcluster.schema.cel_types import checking_environment
from dms_operator.devcluster.schema.errors import FieldError, invalid, required, unsupported
from dms_operator.devcluster.schema.validate import Schema

_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_FAILED = {"rule": "compilation failed", "messageExpression": "messageExpression compilation failed"}
_SUBJECT = {"rule": "cel expression", "messageExpression": "messageExpression"}
_STRUCT = re.compile(r" not found in struct '[^']*'")
_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:\\.|[^'\\])*)'\]")


def check_rules(schema: Schema, path: str, resource: bool, lost: str) -> Iterator[FieldError]:
    """Errors of the rules of this one node; `lost`: below which place no old value can be found on updates, or ""."""
    rules = schema.get("x-kubernetes-validations") or ()
    if not rules:
        return
    env = checking_environment(schema, resource)
    for index, rule in enumerate(rules):
        yield from _check_rule(schema, rule, f"{path}.x-kubernetes-validations[{index}]", env, lost)


def _check_rule(schema: Schema, rule: Mapping[str, Any], path: str, env: cel.Env, lost: str) -> Iterator[FieldError]:
    text = rule.get("rule", "")
    if not text.strip():
        yield required(f"{path}.rule", "rule is not specified")
        return
    yield from _check_old(rule, path, lost)
    yield from _compiles(env, rule, "rule", text, cel.Type.BOOL, path)
    if rule.get("messageExpression", "").strip():
        yield from _compiles(env, rule, "messageExpression", rule["messageExpression"], cel.Type.STRING, path)
    yield from _check_message(rule, path)
    if rule.get("reason") and rule["reason"] not in _REASONS:
        yield unsupported(f"{path}.reason", rule["reason"], _REASONS)
    if rule.get("fieldPath") and (problem := _field_path_problem(schema, rule["fieldPath"])):
        yield invalid(f"{path}.fieldPath", rule["fieldPath"], f"fieldPath must be a valid path: {problem}")


def _check_old(rule: Mapping[str, Any], path: str, lost: str) -> Iterator[FieldError]:
    if uses_old(rule["rule"]):
        if lost:
            detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}"
            yield invalid(f"{path}.rule", rule["rule"], detail)
    elif rule.get("optionalOldSelf") is not None:
        detail = "may not be set if oldSelf is not used in rule"
        yield invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], detail)


def _compiles(
    env: cel.Env, rule: Mapping[str, Any], word: str, expression: str, result: cel.Type, path: str
) -> Iterator[FieldError]:
    if problem := _problem(env, word, expression, result):
        message = f"Invalid value: {_as_go(rule)}: {problem}"
        yield FieldError(f"{path}.{word}", "FieldValueInvalid", message)


def _problem(env: cel.Env, word: str, expression: str, result: cel.Type) -> str:
    try:
        program = checked(env, expression)
    except CompileError as error:
        return f"{_FAILED[word]}: {_STRUCT.sub('', str(error))}"
    if program.return_type() != result:
        return f"{_SUBJECT[word]} must evaluate to a {result.name().lower()}"
    problem = next(literal_problems(syntax_tree(program)), "")
    return f"{_FAILED[word]}: {problem}" if problem else ""


def _check_message(rule: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    message = rule.get("message", "")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    elif "\n" in rule["rule"].strip() and not message:
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    expression = rule.get("messageExpression", "")
    if expression and not expression.strip():
        yield required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")


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
