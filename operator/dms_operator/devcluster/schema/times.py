"""Times as Go prints them: what a client writes with an offset or with fractions is stored as the API shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from dms_operator.devcluster.schema.builtin import builtin_schema
from dms_operator.devcluster.schema.builtin.meta import OBJECT_META
from dms_operator.devcluster.schema.builtin.words import MICRO_TIME, TIME, Node

ITEMS = "[]"
Path = tuple[str, ...]
_CANONICAL = {
    TIME["$name"]: (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "%Y-%m-%dT%H:%M:%SZ"),
    MICRO_TIME["$name"]: (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "%Y-%m-%dT%H:%M:%S.%fZ"),
}


def normalise_times(group: str, kind: str, obj: dict[str, Any]) -> None:
    """Rewrite the times of an object, in place; what is no time is left for validation to refuse."""
    for path, name in _paths(group, kind):
        _rewrite(obj, path, name)


@cache
def _paths(group: str, kind: str) -> tuple[tuple[Path, str], ...]:
    """Where the times of a kind are; of a custom kind only those in its metadata are known."""
    schema = builtin_schema(group, kind) or {}
    properties = {**schema.get("properties", {}), "metadata": OBJECT_META}
    return tuple(_times({"properties": properties}, ()))


def _times(schema: Node, path: Path) -> Iterator[tuple[Path, str]]:
    if schema.get("$name") in _CANONICAL:
        yield path, schema["$name"]
    for name, below in schema.get("properties", {}).items():
        yield from _times(below, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from _times(schema["items"], (*path, ITEMS))


def _rewrite(value: Any, path: Path, name: str) -> None:
    first, *rest = path
    if first == ITEMS:
        for item in value if isinstance(value, list) else ():
            _rewrite(item, tuple(rest), name)
    elif isinstance(value, dict) and first in value:
        if rest:
            _rewrite(value[first], tuple(rest), name)
        else:
            value[first] = _canonical(value[first], name)


def _canonical(text: Any, name: str) -> Any:
    usual, form = _CANONICAL[name]
    if not isinstance(text, str) or usual.fullmatch(text):
        return text
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC).strftime(form)
    except ValueError:
        return text
