"""Checks and defaults of CustomResourceDefinition objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.schema.validate import FieldError


def check_definition(crd: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> list[FieldError]:
    """Errors that make a definition refused (422); `old` on updates."""
    return []


def with_defaults(crd: Mapping[str, Any]) -> dict[str, Any]:
    """The definition as stored: listKind, singular, conversion and an initial status filled in."""
    return dict(crd)


def established(crd: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The definition after its names were accepted: conditions NamesAccepted and Established, acceptedNames."""
    return dict(crd)
