"""When updates may start: a span of local time on some days of the week."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from ...api.rollout import UpdateWindow

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def is_open(window: UpdateWindow | None, now: datetime) -> bool:
    """Whether updates may start now. A span that ends before it starts belongs to the day that it starts on."""
    if window is None:
        return True
    return any(start <= now < end for start, end in _spans(window, now))


def shown(window: UpdateWindow) -> str:
    """When it opens: the hour with its time zone, and the days if not all."""
    days = "" if set(window.days) == set(_DAYS) else f", {' '.join(day for day in _DAYS if day in window.days)}"
    return f"{window.start} ({window.time_zone}{days})"


def changes_after(window: UpdateWindow | None, now: datetime) -> float | None:
    """Seconds until it opens or closes; None when there is no window."""
    if window is None:
        return None
    edges = [edge for span in _spans(window, now) for edge in span if edge > now]
    return (min(edges) - now).total_seconds()


def _spans(window: UpdateWindow, now: datetime) -> list[tuple[datetime, datetime]]:
    """Spans from yesterday's to that of a week from now, one after another."""
    zone = ZoneInfo(window.time_zone)
    today = now.astimezone(zone).date()
    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
    days = [today + timedelta(days=number) for number in range(-1, 9)]
    return [
        (
            datetime.combine(day, start, zone),
            datetime.combine(day if end > start else day + timedelta(days=1), end, zone),
        )
        for day in days
        if _DAYS[day.weekday()] in window.days
    ]
