"""Ages as kubectl shows them (apimachinery `duration.HumanDuration`)."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 24 * 3600, 365 * 24 * 3600


def human_duration(seconds: float) -> str:
    """`5s`, `3m20s`, `2d4h`, …: two units while the first is small."""
    if seconds <= -2:
        return "<invalid>"
    whole = max(int(seconds), 0)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    for unit, letter, exact_below, below, smaller, smaller_letter in _SCALES:
        if whole < below:
            rest = whole % unit // smaller
            exact = whole < exact_below and rest
            return f"{whole // unit}{letter}" + (f"{rest}{smaller_letter}" if exact else "")
    return f"{whole // _YEAR}y"


_SCALES = (
    (_MINUTE, "m", 10 * _MINUTE, 3 * _HOUR, 1, "s"),
    (_HOUR, "h", 8 * _HOUR, 2 * _DAY, _MINUTE, "m"),
    (_DAY, "d", 8 * _DAY, 2 * _YEAR, _HOUR, "h"),
    (_YEAR, "y", 8 * _YEAR, 8 * _YEAR, _DAY, "d"),
)
"""unit, its letter, below which time the smaller unit is shown, below which time the unit is used, smaller unit."""


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 time; None for nothing."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def age(text: str | None, now: datetime) -> str:
    """The time since `text`, `<unknown>` without one."""
    then = parse_time(text)
    return "<unknown>" if then is None else human_duration((now - then).total_seconds())


def between(start: str, end: str | None, now: datetime) -> str:
    """The time from `start` to `end`, or to now."""
    begin, finish = parse_time(start), parse_time(end) or now
    return "<unknown>" if begin is None else human_duration((finish - begin).total_seconds())
