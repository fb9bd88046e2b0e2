"""Labels of nodes in a spec: what Kubernetes would not take is told at the field, not by the API server at each Job."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

_NAME = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)"
_PREFIX = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?P<prefix>{_PREFIX}/)?(?P<name>{_NAME})")
_VALUE = re.compile(rf"{_NAME}?")
_LONGEST_PREFIX, _LONGEST_NAME = 253, 63
_VALUE_WORDS = "write at most 63 letters, digits, dashes, dots and underscores, no sign first or last"
_KEY_WORDS = f"{_VALUE_WORDS}, and before them nothing, or a domain and a slash, as in dms.edge/board"


def _checked(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _is_key(key):
            raise ValueError(f"{key!r} is no label: {_KEY_WORDS}")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"{value!r} is no value of label {key}: {_VALUE_WORDS}")
    return labels


def _is_key(key: str) -> bool:
    found = _KEY.fullmatch(key)
    return (
        found is not None
        and len(found["name"]) <= _LONGEST_NAME
        and len((found["prefix"] or "").removesuffix("/")) <= _LONGEST_PREFIX
    )


NodeLabels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=63)]],
    Field(max_length=16),
    AfterValidator(_checked),
]
"""Labels that a node carries, as Kubernetes takes them."""
