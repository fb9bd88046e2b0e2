"""Objects as JSON text in the form that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from dms_operator.devcluster import table
from dms_operator.devcluster.representation import json_of, to_api
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.server.negotiation import Form
from dms_operator.devcluster.storage import Record

Object = Mapping[str, Any]


def partial(obj: Object) -> dict[str, Any]:
    """PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def one(info: ResourceInfo, obj: Object, form: Form, include: str = "Metadata") -> bytes:
    """A single object; `obj` is in the version of `info`."""
    if form == "Table":
        return orjson.dumps(rows(info, [obj], {"resourceVersion": _version(obj)}, include))
    return orjson.dumps(partial(obj) if form == "PartialObjectMetadata" else obj)


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def rows(info: ResourceInfo, objects: Sequence[Object], metadata: Object, include: str) -> dict[str, Any]:
    """The Table of objects."""
    return table.render(info, objects, include, metadata, datetime.now(UTC))


def many(
    info: ResourceInfo, records: Sequence[Record], metadata: dict[str, Any], form: Form, include: str = "Metadata"
) -> bytes:
    """A list. Its items share the JSON text of their records; built-in items name no kind, as in the real API."""
    if form == "Table":
        return orjson.dumps(rows(info, [to_api(info, record.object) for record in records], metadata, include))
    if form == "PartialObjectMetadata":
        items = [partial(record.object) for record in records]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return orjson.dumps({**head, "metadata": metadata, "items": items})
    if info.custom:
        metadata = {"continue": "", **metadata}
    head_text = orjson.dumps({"kind": info.list_kind, "apiVersion": info.api_version, "metadata": metadata})
    items_text = b",".join(json_of(info, record) if info.custom else _bare(info, record) for record in records)
    return head_text[:-1] + b',"items":[' + items_text + b"]}"


def _bare(info: ResourceInfo, record: Record) -> bytes:
    if record.object.get("apiVersion") == info.api_version:
        return record.item_json
    obj = to_api(info, record.object)
    return orjson.dumps({name: value for name, value in obj.items() if name not in ("apiVersion", "kind")})


class EventWriter:
    """Lines of a watch in one form; column definitions come with the first table only."""

    def __init__(self, info: ResourceInfo, form: Form, include: str) -> None:
        self._info = info
        self._form = form
        self._include = include
        self._first = True

    def line(self, kind: str, record: Record) -> bytes:
        """One event."""
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), self._text(record))

    def bookmark(self, revision: int, initial: bool = False) -> bytes:
        """A BOOKMARK; `initial` marks the end of a streaming list."""
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"kind": self._info.kind, "apiVersion": self._info.api_version, "metadata": metadata}
        record = Record(obj, revision)
        text = self._text(record) if self._form == "Table" else record.json
        return b'{"type":"BOOKMARK","object":%s}\n' % text

    def _text(self, record: Record) -> bytes:
        if self._form == "Object":
            return json_of(self._info, record)
        obj = to_api(self._info, record.object)
        if self._form == "PartialObjectMetadata":
            return orjson.dumps(partial(obj))
        shown = rows(self._info, [obj], {"resourceVersion": _version(obj)}, self._include)
        if not self._first:
            shown["columnDefinitions"] = []
        self._first = False
        return orjson.dumps(shown)
