"""A stage's answer as a termination message: always whole JSON, never above Kubernetes' limit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..api.base import canonical_json
from ..api.stages import RESULT_LIMIT_BYTES, Failure, StageResult

_FREE_TEXT = ("message", "notes", "leftOnCpu", "source", "powerSource", "node")
"""Fields of results that may be cut without changing what the result says."""
_CUT_MARK = "…"


def encoded(result: StageResult, limit: int = RESULT_LIMIT_BYTES) -> bytes:
    """The result as JSON of at most `limit` bytes; long free text is cut, longest first."""
    wire = result.to_wire()
    text = _encode(wire)
    while len(text) > limit:
        if not _cut_longest(wire):
            return _encode(_too_large(result, len(text)).to_wire())
        text = _encode(wire)
    return text


def write(result: StageResult, path: Path) -> None:
    """Write the result as the termination message."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(result))


def printable(text: str) -> str:
    """Text that any JSON encoder takes and any terminal shows as it is: surrogates and control characters replaced.

    Names in files from outside end up in messages, and messages on people's screens.
    """
    plain = text.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else " " for character in plain)


def _encode(wire: dict[str, Any]) -> bytes:
    return canonical_json(wire)


def _cut_longest(wire: dict[str, Any]) -> bool:
    """Cut the longest free text by a quarter; False when nothing is left to cut."""
    length, holder, key = max(_texts(wire), key=lambda entry: entry[0], default=(0, {}, ""))
    if length <= 8:
        return False
    keep = (length * 3) // 4
    value = holder[key]
    holder[key] = value[:keep].rstrip(_CUT_MARK) + _CUT_MARK if isinstance(value, str) else value[: len(value) // 2]
    return True


def _texts(value: Any) -> Iterator[tuple[int, dict[str, Any], str]]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _FREE_TEXT and isinstance(item, str):
                yield len(item), value, key
            elif key in _FREE_TEXT and isinstance(item, list):
                yield sum(map(len, item)), value, key
            else:
                yield from _texts(item)


def _too_large(result: StageResult, size: int) -> StageResult:
    message = f"the stage's answer needs {size} bytes, more than Kubernetes passes on"
    failure = Failure(reason="InternalError", message=message, retryable=False)
    return StageResult(stage=result.stage, recipe=result.recipe, failure=failure, seconds=result.seconds)
