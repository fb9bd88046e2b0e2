"""Tables as `kubectl get` asks for them (meta.k8s.io/v1 Table)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster.human import age
from dms_operator.devcluster.jsonpath import json_path
from dms_operator.devcluster.table_kinds import LAYOUTS, OTHERS, Layout, column_names, name_of
from dms_operator.devcluster.table_pods import pod_conditions

if TYPE_CHECKING:
    from dms_operator.devcluster.resources import ResourceInfo

Object = Mapping[str, Any]
Conditions = list[dict[str, str]]
_AGE = ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)
"""The column of a definition that names none."""


def _none(obj: Object) -> Conditions:
    return []


_CONDITIONS: Mapping[tuple[str, str], Callable[[Object], Conditions]] = {("", "pods"): pod_conditions}


def render(
    resource: ResourceInfo,
    objects: Iterable[Object],
    include_object: str = "Metadata",
    metadata: Object | None = None,
    now: datetime | None = None,
    definitions: bool = True,
) -> dict[str, Any]:
    """The Table of `objects`; `include_object` None, Metadata or Object; `metadata` is the list's.

    Watches leave out the column `definitions` after the first event.
    """
    moment = now or datetime.now(UTC)
    columns, cells = _custom(resource) if resource.custom else _builtin(resource)
    conditions = _CONDITIONS.get((resource.group, resource.plural), _none)
    rows = [_row(cells(obj, moment), conditions(obj), _included(obj, include_object)) for obj in objects]
    table: dict[str, Any] = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata or {}),
    }
    return {**table, "columnDefinitions": columns if definitions else None, "rows": rows}


def _row(cells: list[Any], conditions: Conditions, included: dict[str, Any]) -> dict[str, Any]:
    return {"cells": cells, **({"conditions": conditions} if conditions else {}), **included}


def _included(obj: Object, include: str) -> dict[str, Any]:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return {"object": partial}


def _column(name: str, kind: str, priority: int, description: str = "", form: str = "") -> dict[str, Any]:
    form = "name" if name == "Name" else form
    return {"name": name, "type": kind, "format": form, "description": description, "priority": priority}


def _builtin(resource: ResourceInfo) -> tuple[list[dict[str, Any]], Callable[[Object, datetime], list[Any]]]:
    layout: Layout = LAYOUTS.get((resource.group, resource.plural), OTHERS)
    kinds = {"Created At": "date"}
    columns = [_column(name, kinds.get(name, "string"), wide) for name, wide in column_names(layout.columns)]
    return columns, layout.cells


def _custom(resource: ResourceInfo) -> tuple[list[dict[str, Any]], Callable[[Object, datetime], list[Any]]]:
    wanted: Sequence[Object] = resource.columns or _AGE
    columns = [_column("Name", "string", 0)]
    columns += [
        _column(c["name"], c["type"], c.get("priority", 0), c.get("description", ""), c.get("format", ""))
        for c in wanted
    ]
    readers = [(column["type"], json_path(column["jsonPath"])) for column in wanted]

    def cells(obj: Object, now: datetime) -> list[Any]:
        return [name_of(obj), *(_cell(kind, read(obj), now) for kind, read in readers)]

    return columns, cells


def _cell(kind: str, found: list[Any], now: datetime) -> Any:
    """The first value found, as the column's type; None where it is absent or of another type."""
    value = found[0] if found else None
    return None if value is None else _CELLS[kind](value, now)


def _text(value: Any, now: datetime) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _number(value: Any, now: datetime) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: Any, now: datetime) -> int | None:
    number = _number(value, now)
    return None if number is None else int(number)


def _boolean(value: Any, now: datetime) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return age(value, now)
    except ValueError:
        return "<invalid>"


_CELLS: dict[str, Callable[[Any, datetime], Any]] = {
    "boolean": _boolean,
    "date": _date,
    "integer": _integer,
    "number": _number,
    "string": _text,
}
