"""One stored object as the versions of the API show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.storage import Record

Object = Mapping[str, Any]

_EVENT_NAMES = {  # core/v1 Event field: events.k8s.io/v1 Event field
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_CORE_NAMES = {new: old for old, new in _EVENT_NAMES.items()}


def to_api(info: ResourceInfo, obj: Object) -> Object:
    """The stored object in the version that `info` serves."""
    if obj.get("apiVersion") == info.api_version:
        return obj
    renamed = {_EVENT_NAMES.get(name, name): value for name, value in obj.items()} if _is_event(info) else dict(obj)
    return {**renamed, "apiVersion": info.api_version}


def from_api(info: ResourceInfo, obj: dict[str, Any]) -> dict[str, Any]:
    """An object of that version as it is stored."""
    if not _is_event(info):
        return obj
    renamed = {_CORE_NAMES.get(name, name): value for name, value in obj.items()}
    return {**renamed, "apiVersion": "v1"}


def json_of(info: ResourceInfo, record: Record) -> bytes:
    """JSON text of a record; shared between readers when no conversion is needed."""
    if record.object.get("apiVersion") == info.api_version:
        return record.json
    return orjson.dumps(to_api(info, record.object))


def _is_event(info: ResourceInfo) -> bool:
    return info.group == "events.k8s.io"
