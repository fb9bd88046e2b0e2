"""Kubernetes resource quantities ("500m", "2Gi") as exact numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i|)")

Resources = dict[str, Decimal]


def parse_quantity(text: str | int | float) -> Decimal:
    """Return the value of a quantity in its base unit (cores, bytes, pieces).

    Raises ValueError when the text is no quantity.
    """
    found = _PATTERN.fullmatch(str(text))
    if found is None:
        raise ValueError(f"{text!r} is not a quantity")
    return Decimal(found.group(1)) * _SUFFIXES[found.group(2)]


def parse_resources(quantities: Mapping[str, str | int | float] | None) -> Resources:
    """Return a resource list as numbers."""
    return {resource: parse_quantity(quantity) for resource, quantity in (quantities or {}).items()}


def add(left: Resources, right: Resources) -> Resources:
    """Add resource lists."""
    return {key: left.get(key, Decimal(0)) + right.get(key, Decimal(0)) for key in [*left, *(right.keys() - left)]}


def largest(left: Resources, right: Resources) -> Resources:
    """Return the larger amount of each resource."""
    return {key: max(left.get(key, Decimal(0)), right.get(key, Decimal(0))) for key in [*left, *(right.keys() - left)]}
