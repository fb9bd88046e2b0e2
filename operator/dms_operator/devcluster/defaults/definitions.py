"""CustomResourceDefinitions."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.defaults.strategy import Object, Strategy
from dms_operator.devcluster.schema.crd import check_definition, with_defaults
from dms_operator.devcluster.schema.errors import FieldError

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class DefinitionStrategy(Strategy):
    """Defaults and checks are those of `schema.crd`; a finalizer keeps it until its objects are gone."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Names, conversion and the initial status."""
        obj.pop("status", None)
        obj.update(with_defaults(obj))

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Defaults again; the status is kept."""
        if not subresource:
            new.update({**with_defaults(new), "status": old.get("status", {})})

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """Structural schema, names, CEL rules."""
        return check_definition(new, old)

    def mark_deleted(self, obj: dict[str, Any], now: str) -> None:
        """Terminating, until the objects are gone."""
        present = obj["metadata"].get("finalizers") or []
        if CLEANUP not in present:
            obj["metadata"]["finalizers"] = [*present, CLEANUP]
