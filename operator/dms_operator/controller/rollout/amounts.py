"""Numbers of vehicles, given as a count or as a share of the fleet."""

from collections.abc import Iterable


def at_least(text: str, total: int) -> int:
    """`5%` of the fleet rounded up, or a count as it stands."""
    return -(-total * int(text[:-1]) // 100) if text.endswith("%") else int(text)


def at_most(text: str, total: int) -> int:
    """`5%` of the fleet rounded down, or a count as it stands."""
    return total * int(text[:-1]) // 100 if text.endswith("%") else int(text)


def cumulative(sizes: Iterable[str], total: int) -> int:
    """Vehicles that the last of these waves ends with: one at least, or it would show nothing.

    A share that comes to less than a count before it, as 5% of ten vehicles after `2`, asks for that count again.
    """
    return max(1, *(at_least(size, total) for size in sizes))
