"""Labels in specs and settings: what Kubernetes does not take is told at the field, not by each Job's refusal."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

_NAME = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)"
_PREFIX = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?P<prefix>{_PREFIX}/)?(?P<name>{_NAME})")
_VALUE = re.compile(rf"{_NAME}?")
_LONGEST_PREFIX, _LONGEST = 253, 63
_VALUE_WORDS = "write at most 63 letters, digits, dashes, dots and underscores, no sign first or last"
_KEY_WORDS = f"{_VALUE_WORDS}, and before them nothing, or a domain and a slash, as in dms.edge/board"


def _checked(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        _checked_key(key)
        if not (_VALUE.fullmatch(value) and len(value) <= _LONGEST):
            raise ValueError(f"{value!r} is no value of label {key}: {_VALUE_WORDS}")
    return labels


def _checked_key(key: str) -> str:
    if not _is_key(key):
        raise ValueError(f"{key!r} is no label: {_KEY_WORDS}")
    return key


def _is_key(key: str) -> bool:
    found = _KEY.fullmatch(key)
    return (
        found is not None
        and len(found["name"]) <= _LONGEST
        and len((found["prefix"] or "").removesuffix("/")) <= _LONGEST_PREFIX
    )


LabelKey = Annotated[str, AfterValidator(_checked_key)]
"""Name of a label, or of a taint."""
Labels = Annotated[dict[str, str], AfterValidator(_checked)]
"""Labels as Kubernetes takes them."""
NodeLabels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=63)]],
    Field(max_length=16),
    AfterValidator(_checked),
]
"""The same in a spec, where every map and string is bounded."""
