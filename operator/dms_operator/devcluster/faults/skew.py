"""Clients whose clock is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson

_TIMES = ("acquireTime", "renewTime")


def skewed(body: bytes, seconds: float) -> bytes:
    """A lease, or a patch of one, with its times moved."""
    lease: Any = orjson.loads(body)
    spec = lease.get("spec") if isinstance(lease, dict) else None
    for name in _TIMES:
        if isinstance(spec, dict) and spec.get(name):
            moved = datetime.fromisoformat(spec[name].replace("Z", "+00:00")) + timedelta(seconds=seconds)
            spec[name] = moved.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return orjson.dumps(lease)
