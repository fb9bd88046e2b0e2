"""CEL rules of a schema (`x-kubernetes-validations`)."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.schema.validate import FieldError, Schema


def validate_rules(schema: Schema, value: Any, old: Any = None) -> list[FieldError]:
    """Errors of all rules at any depth; rules with `oldSelf` run only where an old value correlates."""
    return []
