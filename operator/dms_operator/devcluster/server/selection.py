"""Selectors of list and watch requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dms_operator.devcluster import errors
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.selectors import SelectorError, parse_field_selector, parse_label_selector

Predicate = Callable[[Mapping[str, Any]], bool]


def selection(info: ResourceInfo, query: Mapping[str, str]) -> Predicate | None:
    """The predicate of `labelSelector` and `fieldSelector`; None when everything is asked for. Raises 400."""
    predicates: list[Predicate] = []
    try:
        if query.get("labelSelector"):
            labels_match = parse_label_selector(query["labelSelector"])
            predicates.append(lambda obj: labels_match(obj["metadata"].get("labels") or {}))
        if query.get("fieldSelector"):
            predicates.append(parse_field_selector(query["fieldSelector"], info.supported_fields))
    except SelectorError as error:
        raise errors.bad_request(str(error)) from error
    if not predicates:
        return None
    return lambda obj: all(predicate(obj) for predicate in predicates)
