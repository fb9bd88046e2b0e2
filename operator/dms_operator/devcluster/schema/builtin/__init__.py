"""Compact schemas of the built-in kinds, to the depth that the product touches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def builtin_schema(group: str, kind: str) -> Mapping[str, Any] | None:
    """The structural schema of a built-in kind (group "" is core), or None where nothing is written down."""
    return None
