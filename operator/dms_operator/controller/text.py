"""Words and figures in messages: short, with units, never longer than their field."""

from datetime import UTC, datetime

from ..api.quantities import Duration, Memory
from ..api.stages import Metric

SHARES: tuple[Metric, ...] = ("top1", "macroF1")
"""Metrics that are shares of one, told in points (hundredths)."""


def clip(text: str, limit: int) -> str:
    """Cut a text at the limit of its field, and show that it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def number(value: float, digits: int = 2) -> str:
    """A number with at most so many decimals and no trailing zeros."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def loss(metric: Metric, value: float) -> str:
    """A difference of a metric: `2.3 points` for shares, a bare figure otherwise."""
    if metric not in SHARES:
        return number(value, 4)
    points = number(value * 100)
    return f"{points if '.' in points else points + '.0'} points"


def milliseconds(duration: Duration) -> str:
    """A duration as milliseconds with three significant figures or more, such as `0.431 ms`."""
    value = duration.value * 1e3
    digits = 3 if value < 1 else 2 if value < 10 else 1
    return f"{number(value, digits)} ms"


def mebibytes(memory: Memory) -> str:
    """An amount of memory, such as `64 MiB`, or `12 KiB` below one."""
    if memory.value < 2**20:
        return f"{number(memory.value / 2**10, 1)} KiB"
    return f"{number(memory.value / 2**20, 1)} MiB"


def percentile(value: float) -> str:
    """Name of a percentile, such as `p99` or `p99.9`."""
    return f"p{number(value, 1)}"


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with seconds, as Kubernetes writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """The time that `timestamp` or an API server wrote."""
    return datetime.fromisoformat(text)
