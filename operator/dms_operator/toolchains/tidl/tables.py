"""Prints the tables of docs/tda4vm.md: `python -m dms_operator.toolchains.tidl.tables anchors|options|operators`."""

import argparse
from collections.abc import Callable, Iterable, Sequence

from ...api.target_options.tidl import OPTIONS
from .anchors import ANCHORS, estimated_milliseconds, fitted_setup, left_out_error
from .latency import SECONDS_PER_LAYER
from .layers import totals
from .operators import ANYWHERE, AT_EDGES, HINTS, PATTERN_OF, SUPPORTED


def anchors() -> list[str]:
    """Published figures beside the estimate, in the fit and left out of it."""
    rows = []
    for anchor in ANCHORS:
        layers = anchor.layers()
        sums, value = totals(layers), estimated_milliseconds(layers, SECONDS_PER_LAYER)
        rows.append(
            (
                anchor.net,
                f"{sums['layers']}",
                f"{sums['macs'] / 1e6:.0f} M",
                f"{sums['weights'] / 1e6:.2f} M",
                f"{anchor.milliseconds:.2f}",
                f"{value:.2f}",
                f"{value / anchor.milliseconds - 1:+.0%}",
                f"{left_out_error(anchor):+.0%}",
            )
        )
    heads = (
        "net",
        "layers",
        "MACs",
        "weights",
        "published ms",
        "estimate ms",
        "error",
        "error when left out of the fit",
    )
    return [*_table(heads, rows), "", f"Fitted set-up per layer: {fitted_setup(ANCHORS) * 1e6:.1f} us."]


def options() -> list[str]:
    """Our key, TI's name, default and meaning."""
    rows = [(f"`{o.key}`", f"`{o.ti}`" if o.ti else "-", o.default or "-", o.text) for o in OPTIONS]
    return _table(("option", "TI's name", "default", "meaning"), rows)


def operators() -> list[str]:
    """Operators that TIDL takes on TDA4VM, and what to do about what it does not take."""
    places = {ANYWHERE: "", AT_EDGES: "at inputs and outputs only"}
    rows = []
    for op, row in SUPPORTED.items():
        where = places.get(row.where, f"inside {PATTERN_OF[op]} only" if op in PATTERN_OF else "not by itself")
        rows.append((op, row.layer, str(row.rank), where, HINTS.get(op, "")))
    return _table(("operator", "TIDL layer", "dimensions", "where", "when refused"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


TABLES: dict[str, Callable[[], list[str]]] = {"anchors": anchors, "options": options, "operators": operators}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=sorted(TABLES))
    print("\n".join(TABLES[parser.parse_args().table]()))
