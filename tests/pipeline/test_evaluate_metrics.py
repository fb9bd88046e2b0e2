"""Scores are right, their intervals honest, and a drop is positive whichever way the metric points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.api.errors import DatasetInvalid
from dms_operator.pipeline.metrics import drop, macro_f1, score, wilson

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def logits(predicted: np.ndarray, classes: int = 3) -> np.ndarray:
    scores: np.ndarray = np.eye(classes, dtype=np.float32)[predicted] * 5
    return scores


def test_top1_counts_hits_and_agreement_counts_equal_answers() -> None:
    predicted = LABELS.copy()
    predicted[:2] = 2
    facts = score("top1", logits(predicted), LABELS, logits(LABELS))
    assert (facts.value, facts.agreement, facts.samples) == (6 / 8, 6 / 8, 8)
    assert facts.low < 6 / 8 < facts.high


def test_wilson_equals_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.integers(1, 5000), st.data())
def test_a_wilson_interval_holds_its_share_and_stays_in_0_to_1(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert low < high


def test_macro_f1_weighs_a_rare_class_like_a_common_one() -> None:
    labels = np.array([0] * 98 + [1] * 2)
    assert macro_f1(np.zeros(100, int), labels) == pytest.approx((2 * 98 / (98 + 100) + 0) / 2)
    assert macro_f1(labels, labels) == 1.0


def test_mae_is_the_mean_distance_and_a_larger_one_is_a_positive_drop() -> None:
    outputs = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    facts = score("mae", outputs, np.array([[1.5, 2.0], [3.0, 5.0]]), None)
    assert facts.value == pytest.approx((0.25 + 0.5) / 2)
    assert drop("mae", 0.1, 0.3) == pytest.approx(0.2)
    assert drop("top1", 0.9, 0.7) == pytest.approx(0.2)


def test_a_drop_of_exactly_the_gate_is_not_above_it() -> None:
    assert 0.98 - 0.97 > 0.01
    assert drop("top1", 0.98, 0.97) == 0.01


def test_cosine_needs_no_labels_and_is_one_for_equal_outputs() -> None:
    outputs = np.array([[1.0, 2.0], [0.0, 0.0]], np.float32)
    assert score("cosine", outputs, None, outputs).value == pytest.approx(1.0)
    assert score("cosine", outputs, None, -outputs).value == pytest.approx(0.0)


def test_a_bootstrap_interval_is_the_same_every_time() -> None:
    outputs = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    labels = np.arange(50) % 3
    assert score("macroF1", outputs, labels, None) == score("macroF1", outputs, labels, None)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "needs labels"),
        (np.array([0, 1, 3, 0, 1, 2, 0, 1]), "labels go from 0 to 3, but the model has the classes 0 to 2"),
        (np.array([0, 1, -1, 0, 1, 2, 0, 1]), "labels go from -1"),
        (LABELS.astype(np.float32), "not one class number per sample"),
        (np.eye(3, dtype=np.int64)[LABELS], "not one class number per sample"),
    ],
)
def test_labels_that_do_not_fit_are_explained(labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(DatasetInvalid, match=message):
        score("top1", logits(LABELS), labels, None)


def test_outputs_that_are_no_class_scores_have_no_top1_and_no_agreement() -> None:
    maps = np.zeros((8, 3, 4, 4), np.float32)
    with pytest.raises(DatasetInvalid, match="mae or cosine"):
        score("top1", maps, LABELS, None)
    assert score("cosine", maps, None, maps).agreement is None
