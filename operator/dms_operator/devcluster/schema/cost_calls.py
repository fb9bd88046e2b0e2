"""What functions cost and how large their results get, by the sizes of what they are given.

Rules: cel-go checker/cost.go (functionCost) and common/cost.go for the standard functions, and for those of the strings
library apiserver/pkg/cel/library/cost.go (EstimateCallCost). Costs and sizes saturate at 2^64 - 1, as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_MOST = 2**64 - 1
_TRAVERSAL = 0.1
"""Of a string, a character."""
_REGEX = 0.25
"""Of a pattern, a character: one in four is taken to begin an expression."""


class Size(NamedTuple):
    """Characters, bytes, items or entries."""

    least: int
    most: int


UNKNOWN = Size(0, _MOST)
ONE = Size(1, 1)

Price = tuple[int, Size | None]
"""The most that a call costs without its arguments, and the size of its result where it has one."""
Pricing = Callable[[Size, Sequence[Size]], Price]
"""A price by the sizes of the target and of the arguments."""


def total(costs: Iterable[int]) -> int:
    """The sum."""
    return min(sum(costs), _MOST)


def product(one: int, other: int) -> int:
    """The product."""
    return min(one * other, _MOST)


def joined(sizes: Iterable[Size]) -> Size:
    """What holds any of them."""
    known = list(sizes)
    return Size(min(size.least for size in known), max(size.most for size in known))


def constant(_: Size, __: Sequence[Size]) -> Price:
    """Of what takes no longer with larger values."""
    return 1, None


def join(values: Size, element: Size, separators: Sequence[Size]) -> Price:
    """`list.join(separator)`."""
    least, most = product(values.least, element.least), product(values.most, element.most)
    if separators:
        between = separators[0]
        least = total((least, product(between.least, max(values.least - 1, 0))))
        most = total((most, product(between.most, max(values.most - 1, 0))))
    return _scaled(most, _TRAVERSAL), Size(least, most)


def _scaled(size: int, factor: float) -> int:
    return min(math.ceil(float(size) * factor), _MOST)


def _compared(_: Size, sides: Sequence[Size]) -> Price:
    return _scaled(min(side.most for side in sides), _TRAVERSAL), None


def _affix(_: Size, arguments: Sequence[Size]) -> Price:
    return _scaled(arguments[0].most, _TRAVERSAL), None


def _in_list(_: Size, arguments: Sequence[Size]) -> Price:
    return arguments[1].most, None


def _matches(text: Size, arguments: Sequence[Size]) -> Price:
    return product(_scaled(total((text.most, 1)), _TRAVERSAL), _scaled(arguments[0].most, _REGEX)), None


def _contains(text: Size, arguments: Sequence[Size]) -> Price:
    return product(_scaled(text.most, _TRAVERSAL), _scaled(arguments[0].most, _TRAVERSAL)), None


def _sum(arguments: Sequence[Size]) -> Size:
    return Size(total(size.least for size in arguments), total(size.most for size in arguments))


def _added_lists(_: Size, arguments: Sequence[Size]) -> Price:
    return 1, _sum(arguments)


def _added_texts(_: Size, arguments: Sequence[Size]) -> Price:
    size = _sum(arguments)
    return _scaled(size.most, _TRAVERSAL), size


def _to_bytes(_: Size, arguments: Sequence[Size]) -> Price:
    [text] = arguments
    return _scaled(text.most, _TRAVERSAL), Size(text.least, product(text.most, 4))


def _to_text(_: Size, arguments: Sequence[Size]) -> Price:
    [content] = arguments
    return _scaled(content.most, _TRAVERSAL), Size(content.least // 4, content.most)


def _quoted(_: Size, arguments: Sequence[Size]) -> Price:
    [text] = arguments
    return _scaled(text.most, _TRAVERSAL), Size(text.least + 2, total((product(text.most, 2), 2)))


def _formatted(text: Size, _: Sequence[Size]) -> Price:
    return _scaled(text.most, _TRAVERSAL), None


def _same_text(text: Size, _: Sequence[Size]) -> Price:
    return _scaled(text.most, _TRAVERSAL), text


def _position(text: Size, _: Sequence[Size]) -> Price:
    return _scaled(text.most, _TRAVERSAL), None


def _split(text: Size, _: Sequence[Size]) -> Price:
    return _scaled(text.most, 2 * _TRAVERSAL), Size(0, text.most)


def _replaced(text: Size, arguments: Sequence[Size]) -> Price:
    old, new = arguments[:2]
    size = Size(_shortest(text.least, old.most, new.least), _longest(text.most, old.least, new.most))
    return _scaled(text.most, 2 * _TRAVERSAL), size


def _longest(text: int, old: int, new: int) -> int:
    if old == 0:
        return total((product(total((text, 1)), new), text))
    return text if new <= old else product(math.ceil(text / old), new)


def _shortest(text: int, old: int, new: int) -> int:
    if old == 0:
        return total((product(total((text, 1)), new), text))
    return text if old <= new else product(math.ceil(text / old), new)


_ORDERED = [
    f"{order}_{kind}" for order in ("less", "greater", "less_equals", "greater_equals") for kind in ("string", "bytes")
]
OVERLOADS: dict[str, Pricing] = {
    **dict.fromkeys(("equals", "not_equals", *_ORDERED), _compared),
    "starts_with_string": _affix,
    "ends_with_string": _affix,
    "in_list": _in_list,
    "matches_string": _matches,
    "contains_string": _contains,
    "add_list": _added_lists,
    "add_string": _added_texts,
    "add_bytes": _added_texts,
    "string_to_bytes": _to_bytes,
    "bytes_to_string": _to_text,
    "strings_quote": _quoted,
    "string_format": _formatted,
}
"""By overload; what is not here is constant."""

MEMBERS: dict[str, Pricing] = {
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _same_text),
    **dict.fromkeys(("indexOf", "lastIndexOf"), _position),
    "split": _split,
    "replace": _replaced,
}
"""By the name of a member function; these come before overloads."""
