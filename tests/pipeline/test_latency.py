import gc
import math
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.confidence import discardable, queries_needed
from dms_operator.pipeline.latency import PROFILES, Profile, Timing, measure
from dms_operator.pipeline.latency_figures import latency_facts
from dms_operator.pipeline.percentiles import percentile, upper_bound


def silent(done: int, total: int) -> None:
    pass


def counting(count: int) -> np.ndarray:
    """Latencies of 1 µs, 2 µs, …, in a mixed order."""
    latencies = np.arange(1, count + 1, dtype=np.int64) * 1000
    return np.random.default_rng(0).permutation(latencies)


@pytest.mark.parametrize(("percent", "needed"), [(90, 64), (99, 662)])
def test_a_bound_needs_as_many_queries_as_loadgens_early_stopping(percent: float, needed: int) -> None:
    assert discardable(needed - 1, percent) is None
    assert discardable(needed, percent) == 0
    assert upper_bound(counting(needed - 1), percent) is None
    assert upper_bound(counting(needed), percent) == pytest.approx(needed * 1e-6)


def test_the_bound_discards_as_many_latencies_as_a_recorded_loadgen_run() -> None:
    # LoadGen 6.0.17: "Processed at least 64 queries (1133). Would discard 88 highest latency queries."
    assert discardable(1133, 90) == 88
    assert upper_bound(counting(1133), 90) == pytest.approx((1133 - 88) * 1e-6)


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_the_bound_holds_at_its_confidence(percent: float) -> None:
    rng, below, runs, queries = np.random.default_rng(1), 0, 2000, 1000
    truth = -math.log(1 - percent / 100)
    for _ in range(runs):
        bound = upper_bound((rng.exponential(1.0, queries) * 1e9).astype(np.int64), percent)
        assert bound is not None
        below += bound < truth
    # 1 % of the runs may miss; 2 % are nine standard deviations off
    assert below <= 0.02 * runs


@given(st.integers(132, 5000), st.sampled_from([50.0, 90.0, 95.0]))
def test_the_bound_is_never_below_the_percentile_and_never_above_the_slowest(samples: int, percent: float) -> None:
    latencies = counting(samples)
    bound = upper_bound(latencies, percent)
    assert bound is not None
    assert percentile(latencies, percent) <= bound <= latencies.max() * 1e-9


@given(st.integers(1, 3000), st.sampled_from([50.0, 90.0, 99.0]))
def test_more_queries_never_take_a_bound_away(samples: int, percent: float) -> None:
    fewer, more = discardable(samples, percent), discardable(samples + 1, percent)
    assert fewer is None or (more is not None and more >= fewer)


def test_a_hundred_thousand_queries_are_bounded_without_underflow() -> None:
    discarded = discardable(100_000, 99)
    # 1000 are expected above the percentile; 2.33 standard deviations are 73
    assert discarded is not None and 915 <= discarded <= 935


def test_a_run_makes_its_queries_and_warms_up_before() -> None:
    calls: list[None] = []
    timing = measure([lambda: calls.append(None)], Profile(20, 0.0), 5, silent)
    # the first inference, the warm-up, the run
    assert len(timing.nanoseconds) == 20 and len(calls) == 1 + 5 + 20
    assert (timing.nanoseconds >= 0).all() and timing.throughput > 0


def test_a_run_goes_on_until_its_seconds_are_over() -> None:
    timing = measure([lambda: None], Profile(1, 0.05), 0, silent)
    assert timing.seconds >= 0.05
    # far more than the array that the loop began with
    assert len(timing.nanoseconds) > 1024


def test_progress_ends_with_all_queries_done() -> None:
    reports: list[tuple[int, int]] = []
    measure([lambda: None], Profile(30, 0.0), 0, lambda *report: reports.append(report))
    assert reports[0] == (0, 30) and reports[-1] == (30, 30)


def test_a_failing_query_is_not_swallowed() -> None:
    def fail() -> None:
        raise RuntimeError("no inference")

    with pytest.raises(RuntimeError, match="no inference"):
        measure([fail], Profile(1, 0.0), 0, silent)


def test_facts_say_when_there_are_too_few_samples_for_the_gated_percentile() -> None:
    facts = latency_facts(Timing(counting(128), 1.0), 99, "host", "test")
    assert facts.bound is None and "too few samples for a bound of p99" in facts.notes
    assert (facts.p50, facts.p90, facts.p99) == ("0.064ms", "0.116ms", "0.127ms")
    assert facts.samples == 128 and facts.provenance == "host"


def test_facts_bound_the_gated_percentile() -> None:
    facts = latency_facts(Timing(counting(662), 1.0), 99, "measured", "test")
    assert facts.bound == "0.662ms" and facts.notes == ""


def test_every_profile_of_the_api_has_its_queries_and_seconds() -> None:
    assert {name: (profile.queries, profile.seconds) for name, profile in PROFILES.items()} == {
        "rapid": (64, 6), "quick": (128, 10), "normal": (1024, 60), "official": (1024, 600)
    }  # fmt: skip


@pytest.mark.parametrize(("percent", "queries"), [(90, 64), (99, 662)])
def test_needed_is_the_first_number_of_queries_that_gives_a_bound(percent: float, queries: int) -> None:
    assert queries_needed(percent) == queries
    assert discardable(queries_needed(99.9), 99.9) == 0 and discardable(queries_needed(99.9) - 1, 99.9) is None


def test_a_run_that_lacks_queries_for_its_bound_goes_on_for_three_times_its_seconds_at_most() -> None:
    slow = [lambda: time.sleep(0.002)]
    enough = measure(slow, Profile(1, 0.1), 0, silent, wanted=60)
    assert len(enough.nanoseconds) >= 60
    endless = measure(slow, Profile(1, 0.05), 0, silent, wanted=10**6)
    assert endless.seconds >= 0.15 and len(endless.nanoseconds) < 10**6


def test_queries_rotate_through_the_inputs() -> None:
    calls: list[int] = []
    measure([partial(calls.append, index) for index in range(3)], Profile(6, 0.0), 2, silent)
    assert calls == [0, 1, 2] * 3


def test_nothing_is_reported_while_queries_are_timed() -> None:
    """A report lies between two queries' clocks only after a whole segment, and an untimed query follows it."""
    events: list[str] = []
    measure([lambda: events.append("query")], Profile(10, 0.0), 0, lambda *_: events.append("report"))
    assert events == ["query", "report", *["query"] * 10, "report", "report"]


def test_the_garbage_collector_rests_during_the_run_and_works_again_after_a_failure() -> None:
    seen: list[bool] = []

    def fail() -> None:
        seen.append(gc.isenabled())
        if len(seen) > 2:
            raise RuntimeError("no inference")

    with pytest.raises(RuntimeError):
        measure([fail], Profile(5, 0.0), 1, silent)
    assert seen == [True, True, False] and gc.isenabled()


def test_first_inference_and_load_are_reported_apart_from_the_distribution() -> None:
    delays = iter([0.05])
    timing = measure([lambda: time.sleep(next(delays, 0.0))], Profile(64, 0.0), 0, silent)
    facts = latency_facts(timing, 90, "host", "test", load_seconds=1.5)
    assert facts.first is not None and facts.first.value >= 0.05
    assert facts.load == "1500.000ms" and facts.samples == 64


def test_facts_hold_the_whole_distribution() -> None:
    facts = latency_facts(Timing(counting(1000), 2.0), 99, "host", "test")
    assert (facts.min, facts.mean, facts.max) == ("0.001ms", "0.501ms", "1.000ms")
    assert (facts.p95, facts.p999) == ("0.950ms", "0.999ms")
    assert facts.stddev == "0.289ms" and facts.throughput == 500.0
