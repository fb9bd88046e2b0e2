"""JSON values as CEL sees them: Kubernetes' escaping of property names, times, durations, doubles."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Convert = Callable[[Any], Any]

_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "true false null in as break const continue else for function if import let loop package namespace return "
        "var void while",
    )
)
_SYMBOLS = {".": "__dot__", "-": "__dash__", "/": "__slash__"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def escaped(name: str) -> str | None:
    """The name of a property in expressions, or None where CEL cannot reach it (Kubernetes' escaping rules)."""
    if name in _KEYWORDS:
        return f"__{name}__"
    text = name.replace("__", "__underscores__")
    text = "".join(_SYMBOLS.get(character, character) for character in text)
    return text if _IDENTIFIER.fullmatch(text) else None


def converter(schema: Mapping[str, Any]) -> Convert | None:
    """What turns a valid JSON value of this schema into CEL's, or None where they are the same."""
    kind = schema.get("type")
    if kind == "object":
        return _object_converter(schema)
    if kind == "array":
        item = converter(schema.get("items", {}))
        return (lambda values: [_maybe(item, value) for value in values]) if item else None
    if kind == "number":
        return float
    return _FORMATS.get(schema.get("format", "")) if kind == "string" else None


def _maybe(convert: Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _object_converter(schema: Mapping[str, Any]) -> Convert | None:
    properties = {name: converter(below) for name, below in schema.get("properties", {}).items()}
    renamed = {name: new for name in properties if (new := escaped(name)) is not None and new != name}
    needed = {name: convert for name, convert in properties.items() if convert}
    rest = schema.get("additionalProperties")
    if isinstance(rest, Mapping) and (entry := converter(rest)):
        return lambda value: {name: _maybe(entry, item) for name, item in value.items()}
    if not needed and not renamed:
        return None

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        return {
            renamed.get(name, name): _maybe(needed[name], item) if name in needed else item
            for name, item in value.items()
        }

    return convert


def _timestamp(text: str) -> Timestamp:
    """Inside maps the library knows times only as protobuf messages."""
    message = Timestamp()
    message.FromDatetime(datetime.fromisoformat(text))
    return message


def _duration(text: str) -> Duration:
    parts = re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    message = Duration()
    message.FromTimedelta(timedelta(seconds=-seconds if text.startswith("-") else seconds))
    return message


_FORMATS: dict[str, Convert] = {
    "byte": base64.b64decode,
    "date": _timestamp,
    "date-time": _timestamp,
    "duration": _duration,
}
