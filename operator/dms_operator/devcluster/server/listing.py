"""List requests: selectors and paging."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster import errors
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.server import go_json
from dms_operator.devcluster.server.query import number
from dms_operator.devcluster.server.selection import selection
from dms_operator.devcluster.storage import Record, Store

Page = tuple[list[Record], dict[str, Any]]


def _token(revision: int, record: Record) -> str:
    metadata = record.object["metadata"]
    start = {"rv": revision, "after": [metadata.get("namespace", ""), metadata["name"]]}
    return base64.urlsafe_b64encode(json.dumps(start).encode()).decode().rstrip("=")


def _start(token: str) -> tuple[int, tuple[str, str]]:
    raw = b""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        start = json.loads(raw)
        namespace, name = start["after"]
        return int(start["rv"]), (namespace, name)
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        reason = go_json.problem(raw) if raw else str(error)
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {reason}") from error


def _key(record: Record) -> tuple[str, str]:
    metadata = record.object["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def page(store: Store, info: ResourceInfo, namespace: str | None, query: Mapping[str, str]) -> Page:
    """Records of one page and the list's metadata. Later pages show the state of their own time."""
    chosen = store.list(info.storage, namespace)
    selects = selection(info, query)
    if selects is not None:
        chosen = [record for record in chosen if selects(record.object)]
    revision = store.revision
    if query.get("continue"):
        revision, after = _start(query["continue"])
        chosen = [record for record in chosen if _key(record) > after]
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    limit = number(query, "limit") or 0
    if 0 < limit < len(chosen):
        metadata["continue"] = _token(revision, chosen[limit - 1])
        if selects is None:
            metadata["remainingItemCount"] = len(chosen) - limit
        chosen = chosen[:limit]
    return chosen, metadata
