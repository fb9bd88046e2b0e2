"""Paired intervals of a drop: how often the bootstrap errs, and what each metric's interval is made of."""

from collections.abc import Callable

import numpy as np
import pytest

from dms_operator.api.confidence import drop_high
from dms_operator.api.stages import Metric
from dms_operator.pipeline.bootstrap import paired_bounds
from dms_operator.pipeline.metrics import drop, drop_interval, score


def mean_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda chosen: float(values[chosen].mean())


def test_a_bound_of_a_mean_is_wrong_about_one_time_in_twenty() -> None:
    rng = np.random.default_rng(3)
    wrong = 0
    for seed in range(200):
        worse = rng.normal(0.01, 0.05, 100)
        high = paired_bounds(100, mean_of(worse), seed)[1]
        wrong += high is not None and high < 0.01
    assert 2 <= wrong <= 20  # 10 expected; beyond these with a probability below 0.3 %


def test_few_samples_have_no_bounds() -> None:
    assert paired_bounds(19, lambda i: 0.0) == (None, None)


def test_the_same_samples_give_the_same_bounds() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert len({paired_bounds(50, mean_of(values)) for _ in range(2)}) == 1


def classified(samples: int, lost: int, gained: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of variant and reference, and labels, of four classes in turn."""
    labels = np.arange(samples) % 4
    variant, reference = np.eye(4)[labels], np.eye(4)[labels]
    variant[:lost] = np.eye(4)[(labels[:lost] + 1) % 4]
    reference[lost : lost + gained] = np.eye(4)[(labels[lost : lost + gained] + 1) % 4]
    return variant, reference, labels


def test_top1_counts_samples_that_only_one_of_the_two_has_right() -> None:
    variant, reference, labels = classified(300, 5, 3)
    found = drop_interval("top1", variant, reference, labels)
    assert (found.lost, found.gained) == (5, 3)
    assert found.high == pytest.approx(drop_high(5, 3, 300), abs=1e-6)


def test_equal_answers_prove_no_more_than_their_number_allows() -> None:
    variant, reference, labels = classified(60, 0, 0)
    for metric in ("top1", "macroF1"):
        assert drop_interval(metric, variant, reference, labels).high == pytest.approx(1 - 0.05 ** (1 / 60), abs=1e-6)


def test_macro_f1_is_resampled_in_pairs() -> None:
    """Both models err on the same samples: their scores vary, their difference does not."""
    labels = np.arange(200) % 4
    outputs = np.eye(4)[np.where(np.arange(200) % 5 == 0, 3, labels)]
    found = drop_interval("macroF1", outputs, outputs, labels)
    assert (found.low, found.lost) == (0.0, None)
    assert found.high == pytest.approx(drop_high(0, 0, 200), abs=1e-6)


@pytest.mark.parametrize("metric", ["mae", "cosine"])
def test_intervals_of_continuous_metrics_hold_the_drop_and_tighten_with_samples(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    widths = []
    for samples in (50, 800):
        labels = rng.normal(size=(samples, 16))
        reference = labels + rng.normal(0, 0.1, labels.shape)
        outputs = reference + rng.normal(0, 0.1, labels.shape)
        found = drop_interval(metric, outputs, reference, labels)
        base, ours = (score(metric, each, labels, reference).value for each in (reference, outputs))
        assert found.low is not None and found.high is not None
        assert found.low < drop(metric, base, ours) < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2
