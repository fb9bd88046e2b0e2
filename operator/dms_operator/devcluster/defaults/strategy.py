"""The hooks by which a kind differs from the generic semantics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster.schema.errors import FieldError

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

Object = Mapping[str, Any]


def setdefaults(target: dict[str, Any], **defaults: Any) -> None:
    """Fill in what is missing."""
    for name, value in defaults.items():
        target.setdefault(name, value)


class Strategy:
    """A kind without anything special. Methods that change an object do so in place."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Fill in defaults of a new object, which has its metadata already."""

    def admit(self, obj: dict[str, Any], registry: Registry, warnings: list[str]) -> None:
        """Admission of a new object, where it depends on other objects; raises ApiError."""

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Fill in defaults of a changed object, and carry over what may not change."""

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """What is wrong with the object beyond its schema, or with the change."""
        return []

    def status_only(self, new: Object, old: Object) -> dict[str, Any]:
        """What a write to /status leaves: the new status and metadata, the old rest."""
        kept = {name: value for name, value in old.items() if name != "status"}
        changed = {"status": new["status"]} if "status" in new else {}
        return {**kept, "metadata": dict(new["metadata"]), **changed}

    def grace(self, obj: Object, asked: int | None) -> int:
        """Seconds between the mark and the end of an object that is deleted."""
        return 0

    def holds_deletion(self, obj: Object) -> bool:
        """Whether something beside finalizers and grace keeps a marked object."""
        return False

    def mark_deleted(self, obj: dict[str, Any], now: str) -> None:
        """Further changes when an object is marked for deletion."""


class CustomStrategy(Strategy):
    """Custom resources: a write to /status leaves metadata alone."""

    def status_only(self, new: Object, old: Object) -> dict[str, Any]:
        """The old object with the new status."""
        metadata = dict(old["metadata"])
        return super().status_only({**new, "metadata": metadata}, old)
