"""Server-side apply: who owns which field (`metadata.managedFields`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster.schema.validate import Schema

Object = Mapping[str, Any]


class Conflict(Exception):
    """Fields that other managers own, as (manager, field path like `.spec.size`)."""

    def __init__(self, conflicts: list[tuple[str, str]]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


def server_side_apply(
    live: Object | None,
    applied: Object,
    manager: str,
    force: bool,
    schema: Schema | None,
    subresource: str,
    now: str,
) -> dict[str, Any]:
    """The merged object with managedFields; raises Conflict. `now` is RFC 3339, `subresource` "" or "status"."""
    return {**(live or {}), **applied}


def record_update(
    old: Object | None,
    new: Object,
    manager: str,
    operation: str,
    subresource: str,
    schema: Schema | None,
    now: str,
) -> dict[str, Any]:
    """`new` with managedFields that give the changed fields to `manager`."""
    return dict(new)
