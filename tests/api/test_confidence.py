"""Bounds of a drop: known values of the literature, and how often they err, counted exactly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api import confidence
from dms_operator.api.confidence import deciding_samples, drop_high, drop_low, fewest_samples


def test_the_score_bound_is_tangos() -> None:
    """7 and 1 discordant of 21 pairs give (0.026, 0.517) at 95 % two-sided (Fagerland, Lydersen and Laake 2014)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confidence, "_Z", 1.959964)
        assert confidence._tango_high(7, 1, 21) == pytest.approx(0.517, abs=5e-4)
        assert -confidence._tango_high(1, 7, 21) == pytest.approx(0.026, abs=5e-4)


@pytest.mark.parametrize("samples", [20, 59, 299, 300, 3000])
def test_without_any_loss_the_bound_is_exact(samples: int) -> None:
    assert drop_high(0, 0, samples) == pytest.approx(1 - 0.05 ** (1 / samples), abs=1e-9)


def test_fewest_samples_are_the_first_that_prove_the_limit_without_loss() -> None:
    for limit in (0.001, 0.01, 0.02, 0.3):
        fewest = fewest_samples(limit)
        assert drop_high(0, 0, fewest) <= limit < drop_high(0, 0, fewest - 1)


def likely(samples: int, lost: int, gained: int, p_lost: float, p_gained: float) -> float:
    rest = samples - lost - gained
    ways = math.lgamma(samples + 1) - math.lgamma(lost + 1) - math.lgamma(gained + 1) - math.lgamma(rest + 1)
    powers = [(lost, p_lost), (gained, p_gained), (rest, 1 - p_lost - p_gained)]
    if any(count and not share for count, share in powers):
        return 0.0
    return math.exp(ways + sum(count * math.log(share) for count, share in powers if count))


@pytest.mark.parametrize("drop", [0.005, 0.01, 0.03])
@pytest.mark.parametrize("p_gained", [0.0, 0.002, 0.01])
@pytest.mark.parametrize("samples", [60, 300])
def test_a_loss_beyond_the_limit_passes_at_most_one_time_in_twenty(samples: int, p_gained: float, drop: float) -> None:
    """The true drop equals the limit."""
    assert chance_of_passing(samples, p_gained, drop, limit=drop) <= 0.0515


MOST_RUNGS = 9
"""Of one precision: int8 for Qualcomm's, training included."""


@pytest.mark.parametrize("share_gained", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("limit", "samples"), [(0.01, 299), (0.01, 480), (0.01, 1000), (0.02, 149), (0.05, 59)])
def test_even_a_whole_ladder_of_rungs_that_lose_twice_the_limit_passes_at_most_one_time_in_twenty(
    limit: float, samples: int, share_gained: float
) -> None:
    """No correction is made for the number of rungs (docs/gates.md): this is what holds without one."""
    assert MOST_RUNGS * chance_of_passing(samples, share_gained * limit, 2 * limit, limit) <= 0.05


def test_a_limit_of_four_sevenths_is_bonferronis_correction_for_nine_rungs() -> None:
    """Without a loss, as many samples prove L / 1.733 at 1 / 20 as prove L at 1 / 180: ln 180 / ln 20."""
    corrected = math.ceil(math.log(0.05 / MOST_RUNGS) / math.log1p(-0.01))
    assert corrected == 517
    assert fewest_samples(0.01 / 1.733) == pytest.approx(corrected, abs=2)


def chance_of_passing(samples: int, p_gained: float, drop: float, limit: float) -> float:
    """How often the upper bound of this true drop is within the limit; every outcome that is likely at all counts."""
    p_lost = drop + p_gained
    most = [math.ceil(samples * share + 7 * math.sqrt(samples * share)) + 3 for share in (p_lost, p_gained)]
    pairs = [(lost, gained) for lost in range(min(most[0], samples)) for gained in range(min(most[1], samples - lost))]
    return sum(
        likely(samples, lost, gained, p_lost, p_gained)
        for lost, gained in pairs
        if (lost - gained) / samples < limit and drop_high(lost, gained, samples) < limit
    )


@given(st.integers(1, 2000), st.data())
def test_the_drop_that_was_found_lies_between_its_bounds(samples: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, samples))
    gained = data.draw(st.integers(0, samples - lost))
    drop = (lost - gained) / samples
    assert -1 <= drop_low(lost, gained, samples) <= drop + 1e-9
    assert drop - 1e-9 <= drop_high(lost, gained, samples) <= 1


@given(st.integers(0, 20), st.integers(0, 20), st.integers(100, 1000), st.floats(0.001, 0.1))
def test_deciding_samples_are_more_than_there_are_unless_it_is_decided(
    lost: int, gained: int, samples: int, limit: float
) -> None:
    decided = drop_high(lost, gained, samples) <= limit or drop_low(lost, gained, samples) > limit
    needed = deciding_samples(lost, gained, samples, limit)
    assert (needed == samples) if decided else (needed is None or samples < needed <= confidence.MOST_SAMPLES)
