"""What a request says, read from its query, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import yaml
from aiohttp import web

from dms_operator.devcluster import errors
from dms_operator.devcluster.registry import DeleteOptions, WriteOptions
from dms_operator.devcluster.server import go_json, protobuf
from dms_operator.devcluster.server.query import flag, number

BODY_FILTER = web.RequestKey[Callable[[bytes], bytes]]("BODY_FILTER")
"""A request may carry a function under this key through which its body goes."""
_JSON_TYPES = ("", "application/json", "application/octet-stream")
_YAML_TYPES = ("application/yaml", "application/apply-patch+yaml")
_SUPPORTED = ("application/json", "application/yaml")


def _manager(request: web.Request) -> str:
    agent = request.headers.get("User-Agent", "unknown")
    return agent.partition("/")[0] or "unknown"


def _dry_run(query: Mapping[str, str]) -> bool:
    value = query.get("dryRun", "")
    if value not in ("", "All"):
        raise errors.bad_request(f'Invalid value: "{value}": supported values: "All"')
    return value == "All"


async def _body(request: web.Request) -> bytes:
    raw = await request.read()
    change = request.get(BODY_FILTER)
    return raw if change is None else change(raw)


def write_options(request: web.Request, applying: bool = False) -> WriteOptions:
    """Field manager (the user agent when not given, but for apply), dry run, validation and force."""
    query = request.query
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise errors.bad_request(f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"')
    return WriteOptions(
        manager=query.get("fieldManager") or ("" if applying else _manager(request)),
        dry_run=_dry_run(query),
        validation=validation,  # type: ignore[arg-type]  # checked above
        force=flag(query, "force"),
    )


async def delete_options(request: web.Request) -> DeleteOptions:
    """From the body or the query."""
    raw = await _body(request)
    body: Any = {}
    if raw.strip():
        proto = request.content_type == protobuf.CONTENT_TYPE
        body = protobuf.decode(raw) if proto else _decoded(raw, request.content_type, "DeleteOptions")
    if not isinstance(body, dict):
        raise errors.bad_request("the object provided is unrecognized (must be of type DeleteOptions)")
    options = DeleteOptions.from_body(body)
    query = request.query
    options.dry_run = options.dry_run or _dry_run(query)
    if query.get("propagationPolicy"):
        options.propagation = query["propagationPolicy"]  # type: ignore[assignment]  # checked below
    if options.propagation not in (None, "Foreground", "Background", "Orphan"):
        raise errors.bad_request(f'invalid propagationPolicy: "{options.propagation}"')
    grace = number(query, "gracePeriodSeconds")
    if grace is not None:
        options.grace = grace
    return options


async def read_object(request: web.Request, kind: str) -> dict[str, Any]:
    """The object in the body; raises 400 or 415."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if content_type == protobuf.CONTENT_TYPE:
        return protobuf.decode(await _body(request))
    if content_type not in (*_JSON_TYPES, *_YAML_TYPES):
        raise errors.unsupported_media_type(_SUPPORTED)
    body = _decoded(await _body(request), content_type, kind)
    if not isinstance(body, dict):
        raise errors.bad_request(f"the object provided is unrecognized (must be of type {kind})")
    return body


def _decoded(raw: bytes, content_type: str, kind: str) -> Any:
    try:
        return yaml.safe_load(raw) if content_type in _YAML_TYPES else orjson.loads(raw)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        text = raw.decode(errors="replace")
        reason = go_json.problem(raw) if isinstance(error, orjson.JSONDecodeError) else str(error)
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): "
            f"couldn't get version/kind; json parse error: {reason} ({text})"
        ) from error


async def read_patch(request: web.Request) -> tuple[Any, str]:
    """The patch and its content type."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    return _decoded(await _body(request), content_type, "Patch"), content_type
