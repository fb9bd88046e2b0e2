"""Calibration and evaluation never share a sample unnoticed."""

from hypothesis import given
from hypothesis import strategies as st

from dms_operator.pipeline.sampling import split

SIZES = st.integers(1, 3000)


@given(SIZES, SIZES, SIZES, st.integers(0, 9))
def test_the_sets_are_disjoint_or_the_note_says_why_not(
    samples: int, calibration: int, evaluation: int, seed: int
) -> None:
    chosen = split(samples, calibration, evaluation, seed)
    shared = set(chosen.calibration) & set(chosen.evaluation)
    assert not shared or (samples == 1 and "both" in chosen.notes)
    assert 1 <= len(chosen.calibration) <= calibration
    assert 1 <= len(chosen.evaluation) <= evaluation
    assert set(chosen.calibration) | set(chosen.evaluation) <= set(range(samples))
    assert len(set(chosen.evaluation)) == len(chosen.evaluation)


@given(SIZES, SIZES, SIZES)
def test_fewer_samples_than_asked_for_are_noted_and_only_then(samples: int, calibration: int, evaluation: int) -> None:
    chosen = split(samples, calibration, evaluation, 0)
    complete = samples > 1 and calibration + evaluation <= samples
    assert (chosen.notes == "") == complete
    if complete:
        assert (len(chosen.calibration), len(chosen.evaluation)) == (calibration, evaluation)


def test_a_seed_decides_the_split() -> None:
    assert (split(100, 10, 20, 1).evaluation == split(100, 10, 20, 1).evaluation).all()
    assert (split(100, 10, 20, 1).evaluation != split(100, 10, 20, 2).evaluation).any()


def test_more_calibration_leaves_the_evaluation_samples_of_a_large_dataset_alone() -> None:
    assert (split(1000, 10, 200, 0).evaluation == split(1000, 300, 200, 0).evaluation).all()
