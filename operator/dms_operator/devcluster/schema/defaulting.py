"""Defaults of a structural schema."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.schema.validate import Schema


def apply_defaults(schema: Schema, value: Any) -> Any:
    """`value` with absent (or null and not nullable) properties filled; unchanged parts are shared."""
    return value
