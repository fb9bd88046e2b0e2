"""Events, stored as core/v1."""

from __future__ import annotations

from typing import Any

from dms_operator.devcluster.defaults.strategy import Object, Strategy, setdefaults
from dms_operator.devcluster.schema.errors import FieldError, invalid


class EventStrategy(Strategy):
    """An event lies in the namespace of what it is about (`default` for cluster-scoped objects)."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """The fields that are always shown."""
        setdefaults(
            obj,
            involvedObject={},
            source={},
            eventTime=None,
            firstTimestamp=None,
            lastTimestamp=None,
            reportingComponent="",
            reportingInstance="",
        )

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """The fields that are always shown."""
        self.prepare_create(new)

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """The namespace fits."""
        about = (new.get("involvedObject") or {}).get("namespace", "")
        if (about or "default") == new["metadata"]["namespace"]:
            return []
        return [invalid("involvedObject.namespace", about, "does not match event.namespace")]
