"""The distribution of latencies as a drawing: a histogram over a logarithmic axis, with its percentiles."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 680, 170
LEFT, RIGHT, TOP, BOTTOM = 12, 12, 34, 24
_TICKS = (1.0, 2.0, 5.0)


def histogram(edges: Sequence[float], counts: Sequence[int], marks: Mapping[str, float]) -> str:
    """Draw bins (`edges` in ms, one more than `counts`) and labelled marks (ms). Heights are by the square root.

    The square root keeps the few slow queries visible beside the many fast ones.
    """
    low, high = max(edges[0], 1e-6), max(edges[-1], *marks.values())
    span = max(math.log(high / low), 1e-9)

    def x(milliseconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(max(milliseconds, low) / low) / span

    tallest, base = math.sqrt(max(*counts, 1)), HEIGHT - BOTTOM
    bins = [(edges[number], edges[number + 1], count) for number, count in enumerate(counts) if count]
    parts = [_bar(x(begin), x(end), (base - TOP) * math.sqrt(count) / tallest, base) for begin, end, count in bins]
    parts.append(f'<line class="axis" x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}"/>')
    parts += [
        f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{tick:g} ms</text>'
        for tick in ticks(low, high)
    ]
    parts += _marks({name: (x(value), value) for name, value in marks.items()}, base)
    label = escape("latency: " + ", ".join(f"{name} {value:g} ms" for name, value in marks.items()), quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _bar(begin: float, end: float, height: float, base: float) -> str:
    width = max(end - begin - 1, 1)
    return f'<rect class="bar" x="{begin:.1f}" y="{base - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _marks(marks: Mapping[str, tuple[float, float]], base: float) -> list[str]:
    """Lines with labels; labels that would touch go to the second row, and to the left of their line at the end."""
    parts, free = [], [0.0, 0.0, 0.0]
    for name, (at, value) in sorted(marks.items(), key=lambda mark: mark[1][0]):
        text = f"{name} {value:.3g}"
        width = 6.2 * len(text)
        begin = min(at + 3, WIDTH - width)
        row = next((number for number, end in enumerate(free) if end <= begin), len(free) - 1)
        free[row] = begin + width + 4
        top = 10 + 11 * row
        parts.append(f'<line class="mark" x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{base}"/>')
        parts.append(f'<text class="label" x="{begin:.1f}" y="{top}">{escape(text)}</text>')
    return parts


def ticks(low: float, high: float) -> list[float]:
    """Round figures (1, 2, 5 times a power of ten) within the axis; only powers of ten where these are many."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**exponent for exponent in exponents for step in _TICKS]
    inside = [tick for tick in found if low <= tick <= high]
    return inside if len(inside) <= 8 else [tick for tick in inside if math.log10(tick).is_integer()]
