"""Values in a request's query."""

from __future__ import annotations

from collections.abc import Mapping

from dms_operator.devcluster import errors


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether a boolean parameter is set, as Go's ParseBool reads it."""
    return query.get(name, "").lower() in ("true", "1", "t")


def number(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number, None when absent; raises 400."""
    text = query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
