"""Is a schema structural: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/ (schemas)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dms_operator.devcluster.schema.cel import validate_rules
from dms_operator.devcluster.schema.cel_checks import check_rules
from dms_operator.devcluster.schema.cel_literals import pattern_problem
from dms_operator.devcluster.schema.cel_programs import CompileError
from dms_operator.devcluster.schema.cost_limits import cost_errors, rule_costs
from dms_operator.devcluster.schema.errors import FieldError, invalid, required, unsupported
from dms_operator.devcluster.schema.prune import prune
from dms_operator.devcluster.schema.validate import Schema, validate

_KEYS = "x-kubernetes-list-map-keys"
_KEYWORDS = frozenset(
    re.findall(
        r"\S+",
        "additionalProperties allOf anyOf default description enum example exclusiveMaximum exclusiveMinimum "
        "externalDocs format items maxItems maxLength maxProperties maximum minItems minLength minProperties "
        "minimum multipleOf not nullable oneOf pattern properties required title type uniqueItems "
        "x-kubernetes-embedded-resource x-kubernetes-int-or-string x-kubernetes-list-map-keys "
        "x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-preserve-unknown-fields "
        "x-kubernetes-validations",
    )
)
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NOT_IN_CONDITIONS = ("type", "default", "nullable", "title", "description", "additionalProperties")
_LIST_TYPES = ("atomic", "map", "set")


def check_schema(schema: Schema, path: str) -> list[FieldError]:
    """All errors of the schema of a version, whose place in the definition is `path`.

    What rules cost is told of a schema that is right otherwise, or whose rules alone are wrong.
    """
    errors = [*_check_root(schema, path), *_check_node(schema, path, "", "")]
    if all(".x-kubernetes-validations[" in error.field for error in errors):
        errors.extend(cost_errors(rule_costs(schema, path), path))
    return errors


def _check_root(schema: Schema, path: str) -> Iterator[FieldError]:
    if "type" not in schema:
        yield required(f"{path}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield invalid(f"{path}.type", schema["type"], "must be object at the root")


def _check_node(schema: Schema, path: str, role: str, lost: str) -> Iterator[FieldError]:
    """`role` says what the node is for its parent, "" at the root; `lost` below which place old values are lost."""
    for word in sorted(schema.keys() - _KEYWORDS):
        yield _forbidden(f"{path}.{word}", f'unknown field "{word}" in a structural schema')
    yield from _check_type(schema, path, role)
    yield from _check_words(schema, path)
    yield from _check_list(schema, path)
    yield from _check_conditions(schema, path)
    if "default" in schema:
        yield from _check_default(schema, path)
    yield from check_rules(schema, path, role == "", lost)
    yield from _check_below(schema, path, lost)


def _check_type(schema: Schema, path: str, role: str) -> Iterator[FieldError]:
    kind = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if kind is None and role and not free:
        yield required(f"{path}.type", f"must not be empty for specified {role}")
    elif kind is not None and schema.get("x-kubernetes-int-or-string"):
        yield invalid(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    elif kind is not None and kind not in _TYPES:
        yield unsupported(f"{path}.type", kind, _TYPES)
    elif kind == "array" and "items" not in schema:
        yield required(f"{path}.items", "must be specified")


def _check_words(schema: Schema, path: str) -> Iterator[FieldError]:
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield _forbidden(f"{path}.uniqueItems", detail)
    if "properties" in schema and schema.get("additionalProperties"):
        yield _forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    elif schema.get("additionalProperties") is False:
        yield _forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    for word in ("exclusiveMaximum", "exclusiveMinimum"):
        if not isinstance(schema.get(word, False), bool):
            yield invalid(f"{path}.{word}", schema[word], "must be a boolean beside maximum or minimum")
    if "pattern" in schema and (problem := pattern_problem(schema["pattern"])):
        detail = f"must be a valid regular expression, but isn't: {problem}"
        yield invalid(f"{path}.pattern", schema["pattern"], detail)


def _check_list(schema: Schema, path: str) -> Iterator[FieldError]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get(_KEYS)
    if kind is None and keys is None:
        return
    if kind is not None and kind not in _LIST_TYPES:
        yield unsupported(f"{path}.x-kubernetes-list-type", kind, _LIST_TYPES)
    if kind is not None and schema.get("type") != "array":
        detail = "must be array if x-kubernetes-list-type is specified"
        yield invalid(f"{path}.type", schema.get("type", ""), detail)
    if kind == "map":
        yield from _check_map_keys(schema, keys or [], path)
    elif keys is not None:
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(f"{path}.x-kubernetes-list-type", kind, detail)


def _check_map_keys(schema: Schema, keys: list[str], path: str) -> Iterator[FieldError]:
    items = schema.get("items", {})
    if not keys:
        yield required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    for index, key in enumerate(keys):
        found = items.get("properties", {}).get(key)
        if found is None:
            detail = "entries must all be names of item properties"
            yield invalid(f"{path}.x-kubernetes-list-map-keys[{index}]", key, detail)
        elif key not in items.get("required", ()) and "default" not in found:
            detail = f"this property is in {_KEYS}, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", detail)


def _check_conditions(schema: Schema, path: str) -> Iterator[FieldError]:
    """Inside allOf, anyOf, oneOf and not only value validations may stand."""
    if schema.get("x-kubernetes-int-or-string"):
        return
    for word in ("allOf", "anyOf", "oneOf"):
        for index, nested in enumerate(schema.get(word, ())):
            yield from _check_condition(nested, f"{path}.{word}[{index}]")
    if "not" in schema:
        yield from _check_condition(schema["not"], f"{path}.not")


def _check_condition(nested: Schema, path: str) -> Iterator[FieldError]:
    for word in _NOT_IN_CONDITIONS:
        if word in nested:
            yield _forbidden(f"{path}.{word}", "must be empty to be structural")
    for name, below in nested.get("properties", {}).items():
        yield from _check_condition(below, f"{path}.properties[{name}]")


def _check_default(schema: Schema, path: str) -> Iterator[FieldError]:
    default = schema["default"]
    for unknown in prune(schema, default, resource=False)[1]:
        yield invalid(f"{path}.default", default, f"must not have unknown fields: {unknown}")
    for error in validate(schema, default) or _against_rules(schema, default):
        place = f"{path}.default" + ("" if error.field == "<nil>" else f".{error.field}")
        yield error._replace(field=place)


def _against_rules(schema: Schema, default: Any) -> list[FieldError]:
    try:
        return validate_rules(schema, default)
    except CompileError:  # of the rule itself, which is told at its place
        return []


def _check_below(schema: Schema, path: str, lost: str) -> Iterator[FieldError]:
    whole = path if schema.get("x-kubernetes-map-type") == "atomic" else ""
    for name, below in sorted(schema.get("properties", {}).items()):
        if path.endswith("openAPIV3Schema") and name == "metadata":
            continue
        yield from _check_node(below, f"{path}.properties[{name}]", "object fields", lost or whole)
    rest = schema.get("additionalProperties")
    if isinstance(rest, Mapping):
        yield from _check_node(rest, f"{path}.additionalProperties", "object fields", lost)
    if isinstance(schema.get("items"), Mapping):
        unkeyed = "" if schema.get("x-kubernetes-list-type") == "map" else path
        yield from _check_node(schema["items"], f"{path}.items", "array items", lost or unkeyed)


def _forbidden(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")
