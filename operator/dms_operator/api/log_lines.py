"""Log lines of the operator and of stage pods: plain for people, JSON with the same keys everywhere for machines."""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

LogFormat = Literal["plain", "json"]
KEYS = ("deployment", "stage", "target", "revision", "reason", "job", "node")
"""What a line may be about; `deployment` is `<namespace>/<name>`."""
FORMAT_VARIABLE = "DMS_LOG_FORMAT"
"""Environment of stage pods: plain or json."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NOTHING)


def lines_are_about(**keys: str) -> None:
    """From now on, in this task or thread, every line carries these keys. A line's own `extra` goes before."""
    _about.set(keys)


def lines_keys() -> dict[str, str]:
    """What lines of this task or thread are about, to be handed to a process that writes its own."""
    return dict(_about.get())


def keys_of(record: logging.LogRecord) -> dict[str, str]:
    """What a line is about."""
    own = {key: str(value) for key in KEYS if (value := getattr(record, key, None))}
    return {**_about.get(), **own}


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Encode a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **keys_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    """Time, level, what the line is about, and the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(about)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Encode a record."""
        deployment = keys_of(record).get("deployment")
        record.about = f"{deployment}: " if deployment else ""
        return super().format(record)


def formatter(style: str) -> logging.Formatter:
    """The formatter of a style; anything but json is plain."""
    return JsonFormatter() if style == "json" else PlainFormatter()
