"""Field errors in the shape and wording of Kubernetes' `field.Error`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

INCOMPLETE = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)


class FieldError(NamedTuple):
    """One cause of a 422: the field's path, the reason (`FieldValue...`) and the message without the path."""

    field: str
    type: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def show(value: Any) -> str:
    """A value as it appears in messages: compact JSON, quoted strings."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """`Invalid value: <value>: <detail>`."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {show(value)}: {detail}")


def required(field: str, detail: str = "") -> FieldError:
    """`Required value`."""
    return FieldError(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def unsupported(field: str, value: Any, supported: Iterable[Any]) -> FieldError:
    """`Unsupported value: "x": supported values: "a", "b"`."""
    choices = ", ".join(show(choice) for choice in supported)
    message = f"Unsupported value: {show(value)}: supported values: {choices}"
    return FieldError(field, "FieldValueNotSupported", message)


def duplicate(field: str, value: Any) -> FieldError:
    """`Duplicate value: <value>`."""
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {show(value)}")


def child(path: str, name: str) -> str:
    """The path of a property below `path`."""
    return f"{path}.{name}" if path else name


def blocks_rules(errors: Iterable[FieldError]) -> bool:
    """Whether these errors keep CEL rules from being evaluated (apiextensions `hasBlockingErr`)."""
    return any(error.type in _BLOCKING for error in errors)


def incomplete() -> FieldError:
    """The error that says that CEL rules were not evaluated."""
    return FieldError("<nil>", "FieldValueInvalid", f"Invalid value: null: {INCOMPLETE}")
