"""Validation of a value against a structural schema, with the wording of kube-openapi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.schema.correlate import UNKNOWN, old_item, old_items, old_property
from dms_operator.devcluster.schema.errors import FieldError, duplicate, invalid, required, unsupported
from dms_operator.devcluster.schema.formats import FORMATS, regular_expression

Schema = Mapping[str, Any]

__all__ = ["FieldError", "Schema", "json_type", "validate"]

_INT_OR_STRING = ("integer", "string")
_TYPE_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


def validate(schema: Schema, value: Any, path: str = "", old: Any = UNKNOWN) -> list[FieldError]:
    """All errors of `value`, properties in order of their names.

    `path` is put before the fields of the errors but not into their text: pass "status" with the schema of
    status to validate a status update. With `old`, what did not change is not judged again (ratcheting).
    """
    errors: list[FieldError] = []
    _node(schema, value, "", old, errors)
    _duplicates(schema, value, "", old, errors)
    return [error._replace(field=_joined(path, error.field)) for error in errors]


def _joined(prefix: str, field: str) -> str:
    """Go prints a missing path as `<nil>`."""
    return (f"{prefix}.{field}" if prefix and field else prefix or field) or "<nil>"


def json_type(value: Any) -> str:
    """The JSON type of a value; a float without fraction counts as integer only for the schema check."""
    return "null" if value is None else _TYPE_NAMES[type(value)]


def _node(schema: Schema, value: Any, path: str, old: Any, errors: list[FieldError]) -> None:
    if old is not UNKNOWN and value == old:
        return
    if value is None and schema.get("nullable"):
        return
    fits = _type(schema, value, path, errors)
    if "enum" in schema and value not in schema["enum"]:
        errors.append(unsupported(path, value, schema["enum"]))
    if not fits:
        return
    _content(schema, value, path, old, errors)
    for word in _COMBINATIONS.keys() & schema.keys():
        _COMBINATIONS[word](schema[word], value, path, errors)


def _content(schema: Schema, value: Any, path: str, old: Any, errors: list[FieldError]) -> None:
    if isinstance(value, dict):
        _object(schema, value, path, old, errors)
    elif isinstance(value, list):
        _array(schema, value, path, old, errors)
    elif isinstance(value, str):
        _string(schema, value, path, errors)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _number(schema, value, path, errors)


def _type(schema: Schema, value: Any, path: str, errors: list[FieldError]) -> bool:
    wanted = schema.get("type")
    actual = json_type(value)
    if wanted == actual:
        return True
    if schema.get("x-kubernetes-int-or-string"):
        fits, names = actual in _INT_OR_STRING, ",".join(_INT_OR_STRING)
    elif wanted is None:
        return True
    else:
        integral = isinstance(value, float) and value.is_integer()
        fits = (wanted == "number" and actual == "integer") or (wanted == "integer" and integral)
        names = wanted
    if not fits:
        errors.append(_type_error(path, actual, names))
    return fits


def _type_error(path: str, actual: str, wanted: str) -> FieldError:
    detail = f'{path} in body must be of type {wanted}: "{actual}"'
    return FieldError(path, "FieldValueTypeInvalid", f'Invalid value: "{actual}": {detail}')


def _object(schema: Schema, value: dict[str, Any], path: str, old: Any, errors: list[FieldError]) -> None:
    _size(schema, len(value), "Properties", "properties", path, errors)
    prefix = f"{path}." if path else ""
    errors += [required(prefix + name) for name in schema.get("required", ()) if name not in value]
    properties = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    for name in sorted(value):
        below = properties.get(name, rest)
        if isinstance(below, dict):
            _node(below, value[name], prefix + name, old_property(old, name), errors)


def _array(schema: Schema, value: list[Any], path: str, old: Any, errors: list[FieldError]) -> None:
    items = schema.get("items")
    if items:
        correlated = old_items(schema, old)
        for index, item in enumerate(value):
            _node(items, item, f"{path}[{index}]", old_item(schema, correlated, item), errors)
    _size(schema, len(value), "Items", "items", path, errors)


def _size(schema: Schema, size: int, word: str, noun: str, path: str, errors: list[FieldError]) -> None:
    least, most = schema.get(f"min{word}", 0), schema.get(f"max{word}")
    if size < least:
        errors.append(invalid(path, size, f"{path} in body should have at least {least} {noun}"))
    if most is not None and size > most:
        message = f"Too many: {size}: must have at most {most} items"
        errors.append(FieldError(path, "FieldValueTooMany", message))


def _string(schema: Schema, value: str, path: str, errors: list[FieldError]) -> None:
    most, least, pattern = schema.get("maxLength"), schema.get("minLength", 0), schema.get("pattern")
    if most is not None and len(value) > most:
        errors.append(FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {most} bytes"))
    elif len(value) < least:
        errors.append(invalid(path, value, f"{path} in body should be at least {least} chars long"))
    elif pattern is not None and not regular_expression(pattern).search(value):
        errors.append(invalid(path, value, f"{path} in body should match '{pattern}'"))
    form = schema.get("format")
    if form in FORMATS and not FORMATS[form](value):
        error = invalid(path, value, f'{path} in body must be of type {form}: "{value}"')
        errors.append(error._replace(type="FieldValueTypeInvalid"))


def _number(schema: Schema, value: float, path: str, errors: list[FieldError]) -> None:
    factor, most, least = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    if factor is not None and not (value / factor).is_integer():
        errors.append(invalid(path, value, f"{path} in body should be a multiple of {factor}"))
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        errors.append(invalid(path, value, f"{path} in body should be {words} {most}"))
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        errors.append(invalid(path, value, f"{path} in body should be {words} {least}"))


def _accepts(schema: Schema, value: Any) -> bool:
    errors: list[FieldError] = []
    _node(schema, value, "", UNKNOWN, errors)
    return not errors


def _all_of(schemas: list[Schema], value: Any, path: str, errors: list[FieldError]) -> None:
    for schema in schemas:
        _node(schema, value, path, UNKNOWN, errors)


def _any_of(schemas: list[Schema], value: Any, path: str, errors: list[FieldError]) -> None:
    if not any(_accepts(schema, value) for schema in schemas):
        errors.append(_combination(path, value, "must validate at least one schema (anyOf)"))


def _one_of(schemas: list[Schema], value: Any, path: str, errors: list[FieldError]) -> None:
    if sum(_accepts(schema, value) for schema in schemas) != 1:
        errors.append(_combination(path, value, "must validate one and only one schema (oneOf)"))


def _not(schema: Schema, value: Any, path: str, errors: list[FieldError]) -> None:
    if _accepts(schema, value):
        errors.append(_combination(path, value, "must not validate the schema (not)"))


_COMBINATIONS: dict[str, Any] = {"allOf": _all_of, "anyOf": _any_of, "oneOf": _one_of, "not": _not}


def _combination(path: str, value: Any, detail: str) -> FieldError:
    shown = json_type(value) if isinstance(value, dict | list) else value
    return invalid(path, shown, f'"{path}" {detail}')


def _duplicates(schema: Schema, value: Any, path: str, old: Any, errors: list[FieldError]) -> None:
    """Duplicates in lists of type set and map, at any depth."""
    if old is not UNKNOWN and value == old:
        return
    if isinstance(value, list) and "items" in schema:
        _duplicate_items(schema, value, path, errors)
        for index, item in enumerate(value):
            _duplicates(schema["items"], item, f"{path}[{index}]", UNKNOWN, errors)
    elif isinstance(value, dict):
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            below = properties.get(name, rest)
            if isinstance(item, dict | list) and isinstance(below, dict):
                _duplicates(below, item, f"{path}.{name}" if path else name, old_property(old, name), errors)


def _duplicate_items(schema: Schema, value: list[Any], path: str, errors: list[FieldError]) -> None:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    keys = schema.get("x-kubernetes-list-map-keys", ())
    seen: list[Any] = []
    for index, item in enumerate(value):
        identity = item
        if kind == "map" and isinstance(item, dict):
            identity = {key: item[key] for key in keys if key in item}
        if identity in seen:
            errors.append(duplicate(f"{path}[{index}]", identity))
        else:
            seen.append(identity)
