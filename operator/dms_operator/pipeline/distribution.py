"""The distribution of a run's latencies, small enough for a report."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 48


def distribution(nanoseconds: NDArray[np.int64], bins: int = BINS) -> dict[str, Any]:
    """Counts of queries between edges that grow by a constant factor: `edges` [bins + 1] in ms, `counts` [bins]."""
    low, high = float(nanoseconds.min()), float(nanoseconds.max())
    # the last edge lies above the slowest query, and equal latencies still need a bin of some width
    edges = np.geomspace(max(low, 1.0), max(high, low, 1.0) * 1.001 + 1, bins + 1)
    edges[0] = min(edges[0], low)
    counts, _ = np.histogram(nanoseconds, edges)
    return {"edges": [round(float(edge) / 1e6, 6) for edge in edges], "counts": counts.tolist()}
