"""Gauges made from a deployment's status: what a family and one of its samples are."""

from typing import NamedTuple


class Family(NamedTuple):
    """A gauge: its name, its help text, and the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...]


class Sample(NamedTuple):
    """A value of a family."""

    family: Family
    labels: tuple[str, ...]
    value: float


OBJECT_LABELS = ("namespace", "deployment")
