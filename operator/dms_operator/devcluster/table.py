"""Tables as `kubectl get` asks for them (meta.k8s.io/v1 Table)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol


class TableResource(Protocol):
    """What a table needs to know of a resource; `columns` are a CRD's additionalPrinterColumns, else None."""

    @property
    def group(self) -> str: ...
    @property
    def plural(self) -> str: ...
    @property
    def columns(self) -> Sequence[Mapping[str, Any]] | None: ...


def render(
    resource: TableResource,
    objects: Iterable[Mapping[str, Any]],
    include_object: str = "Metadata",
    metadata: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The Table of `objects`; `include_object` None, Metadata or Object; `metadata` is the list's."""
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": dict(metadata or {}), "rows": []}
