"""What a request says beside its object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Validation = Literal["Strict", "Warn", "Ignore"]
Propagation = Literal["Foreground", "Background", "Orphan"]


@dataclass(slots=True)
class WriteOptions:
    """Of create, update and patch; `warnings` is filled while the request is handled."""

    manager: str = ""
    dry_run: bool = False
    validation: Validation = "Warn"
    force: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class DeleteOptions:
    """Of delete and deletecollection."""

    propagation: Propagation | None = None
    grace: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> DeleteOptions:
        """From a `DeleteOptions` object."""
        conditions = body.get("preconditions") or {}
        orphan = body.get("orphanDependents")
        legacy: Propagation | None = None if orphan is None else "Orphan" if orphan else "Background"
        return cls(
            propagation=body.get("propagationPolicy") or legacy,
            grace=body.get("gracePeriodSeconds"),
            uid=conditions.get("uid"),
            resource_version=conditions.get("resourceVersion"),
            dry_run="All" in (body.get("dryRun") or ()),
        )
