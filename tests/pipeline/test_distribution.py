"""Every query of a run is in exactly one bin."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.pipeline.distribution import BINS, distribution


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200))
def test_no_query_is_lost_and_the_edges_grow(latencies: list[int]) -> None:
    found = distribution(np.array(latencies, dtype=np.int64))
    assert sum(found["counts"]) == len(latencies) and len(found["counts"]) == BINS
    assert found["edges"] == sorted(found["edges"])
