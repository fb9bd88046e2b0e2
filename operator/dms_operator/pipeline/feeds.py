"""Samples that are made when they are asked for, so that no more are in memory than are worked on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .calibration import Feed


@dataclass(frozen=True)
class Feeds:
    """As a sequence: any thread may ask for any sample, and for the same one again."""

    make: Callable[[int], Feed]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Feed:
        if not 0 <= number < self.count:
            raise IndexError(number)
        return self.make(number)


Samples = Feeds | Sequence[Feed]


def head(samples: Samples, most: int) -> Feeds:
    """The first ones."""
    return Feeds(samples.__getitem__, min(most, len(samples)))
