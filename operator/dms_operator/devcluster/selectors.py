"""Label and field selectors of list and watch requests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

LabelPredicate = Callable[[Mapping[str, str]], bool]
ObjectPredicate = Callable[[Mapping[str, Any]], bool]


class SelectorError(ValueError):
    """A selector that cannot be parsed or is not supported; the message is the API's."""


def parse_label_selector(text: str) -> LabelPredicate:
    """The predicate over labels of `a=b,c!=d,e in (f,g),!h`; raises SelectorError."""
    return lambda labels: True


def parse_field_selector(text: str, supported: Collection[str]) -> ObjectPredicate:
    """The predicate over objects of `metadata.name=x,status.phase!=y`; raises SelectorError."""
    return lambda obj: True


def match_label_selector(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector object (`matchLabels`, `matchExpressions`); None matches nothing, {} everything."""
    return selector is not None
