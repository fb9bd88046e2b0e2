"""The simple JSONPath of printer columns and scale paths: `.spec.x`, `.a[0]`, `.a[?(@.type=="Ready")].status`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_STEP = re.compile(
    r"\.(?P<name>(?:\\.|[^.\[\\])+)"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[(?P<all>\*)\]"
    r"|\['(?P<key>[^']*)'\]"
    r"|\[\?\(\s*@\.(?P<field>[\w.-]+)\s*(?P<test>==|!=)\s*(?P<literal>\"[^\"]*\"|'[^']*'|[^)\s]+)\s*\)\]"
)


class JSONPathError(ValueError):
    """A path outside the simple form."""


@lru_cache(maxsize=1024)
def json_path(path: str) -> Callable[[Any], list[Any]]:
    """A function that finds all values at `path`; raises JSONPathError."""
    steps = tuple(_steps(path.removeprefix("{").removesuffix("}")))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = [below for each in found for below in step(each)]
        return found

    return find


def is_json_path(path: str) -> bool:
    """Whether this is a simple path that begins with a property or an index."""
    try:
        json_path(path)
    except JSONPathError:
        return False
    return path.startswith((".", "["))


def _steps(path: str) -> Iterator[Step]:
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise JSONPathError(f"not a simple JSON path: {path}")
        yield _step(match)
        position = match.end()


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        return _item(int(match["index"]))
    if match["all"] is not None:
        return lambda value: value if isinstance(value, list) else ()
    if match["field"] is not None:
        return _filter(match["field"], match["test"] == "==", match["literal"])
    return _member(match["key"] if match["key"] is not None else re.sub(r"\\(.)", r"\1", match["name"]))


def _member(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _item(index: int) -> Step:
    return lambda value: (value[index],) if isinstance(value, list) and -len(value) <= index < len(value) else ()


def _filter(field: str, equal: bool, literal: str) -> Step:
    wanted = literal[1:-1] if literal[0] in "\"'" else json.loads(literal)
    inner = json_path(f".{field}")

    def step(value: Any) -> Iterable[Any]:
        items = value if isinstance(value, list) else ()
        return [item for item in items if (found := inner(item)) and (found[0] == wanted) is equal]

    return step
