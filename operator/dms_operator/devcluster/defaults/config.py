"""Config maps and secrets."""

from __future__ import annotations

import base64
from typing import Any

from dms_operator.devcluster.defaults.strategy import Object, Strategy
from dms_operator.devcluster.schema.errors import FieldError, invalid


def _immutable(field: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set")


def _frozen_errors(new: Object, old: Object | None, fields: tuple[str, ...]) -> list[FieldError]:
    if old is None or not old.get("immutable"):
        return []
    errors = [] if new.get("immutable") else [_immutable("immutable")]
    return errors + [_immutable(name) for name in fields if new.get(name) != old.get(name)]


class ConfigMapStrategy(Strategy):
    """`immutable` freezes the data."""

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """The frozen fields are unchanged."""
        return _frozen_errors(new, old, ("data", "binaryData"))


class SecretStrategy(Strategy):
    """`stringData` goes into `data`; the type is fixed."""

    def prepare_create(self, obj: dict[str, Any]) -> None:
        """Type and encoded data."""
        obj.setdefault("type", "Opaque")
        self._encode(obj)

    def prepare_update(self, new: dict[str, Any], old: Object, subresource: str) -> None:
        """Type and encoded data."""
        new.setdefault("type", old["type"])
        self._encode(new)

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """Frozen fields and type are unchanged."""
        errors = _frozen_errors(new, old, ("data",))
        if old is not None and new["type"] != old["type"]:
            errors.append(invalid("type", new["type"], "field is immutable"))
        return errors

    def _encode(self, obj: dict[str, Any]) -> None:
        plain = obj.pop("stringData", None) or {}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        if encoded:
            obj["data"] = {**(obj.get("data") or {}), **encoded}
