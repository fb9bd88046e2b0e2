"""What an option of a target may be: one declaration for the operator, the stages and the CRD's rules."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from ..cpu_fallback import PATTERN, TAKES
from ..errors import InvalidSpec


class Values(Protocol):
    """The values of an option, as far as they depend on nothing else."""

    @property
    def words(self) -> str:
        """What to write."""
        ...

    def take(self, value: str) -> bool:
        """Whether the value is one of them."""
        ...

    def cel(self, value: str) -> str:
        """The same as a CEL expression about the expression `value`; empty where the operator alone decides."""
        ...


@dataclass(frozen=True)
class OneOf:
    """A fixed set of words."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        """What to write."""
        return f"one of {', '.join(self.choices)}"

    def take(self, value: str) -> bool:
        """Whether it is one of the words."""
        return value in self.choices

    def cel(self, value: str) -> str:
        """Membership of a list."""
        return f"{value} in [{', '.join(repr(choice) for choice in self.choices)}]"


@dataclass(frozen=True)
class Whole:
    """A whole number between two others, both included."""

    low: int
    high: int
    DIGITS = "^[0-9]{1,9}$"

    @property
    def words(self) -> str:
        """What to write."""
        return f"a whole number from {self.low} to {self.high}"

    def take(self, value: str) -> bool:
        """Whether it is such a number, in ASCII digits."""
        return re.fullmatch(self.DIGITS, value) is not None and self.low <= int(value) <= self.high

    def cel(self, value: str) -> str:
        """Digits, then both bounds."""
        return f"{value}.matches('{self.DIGITS}') && int({value}) >= {self.low} && int({value}) <= {self.high}"


@dataclass(frozen=True)
class Written:
    """A text of a form; `highest`: the number that it stands for is above 1 and no more than this."""

    pattern: str
    words: str
    highest: float | None = None

    def take(self, value: str) -> bool:
        """Whether it has the form."""
        fits = re.fullmatch(self.pattern, value) is not None
        return fits and (self.highest is None or value == "-1" or 1 < float(value) <= self.highest)

    def cel(self, value: str) -> str:
        """Nothing: forms are the operator's."""
        return ""


SHARE = Written(PATTERN, TAKES)
"""Of nodes on the CPU; the CRD has a rule for it that all toolchains share."""


def check_key(toolchain: str, key: str, known: Collection[str]) -> None:
    """Raise InvalidSpec for an option that the toolchain does not have, with the one that was probably meant."""
    if key in known:
        return
    near = get_close_matches(key, known, n=1)
    meant = f": did you mean {near[0]}?" if near else ""
    raise InvalidSpec(f"toolchain {toolchain} has no option {key!r}{meant}", hint=f"It knows {', '.join(known)}")


def check_value(key: str, value: str, values: Values | None) -> None:
    """Raise InvalidSpec for a value that the option does not take, with what to write; None takes all."""
    if values is not None and not values.take(value):
        raise InvalidSpec(f"option {key} is {value!r}", hint=f"Write {values.words}")
