"""Scores with 95 % confidence intervals. Pure functions of arrays."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.confidence import drop_high, drop_low
from ..api.label_fit import are_scores
from ..api.stages import LOWER_IS_BETTER, AccuracyFacts, DropInterval, Metric
from .bootstrap import paired_bounds
from .labels import check_labels, check_scores, required

Array = NDArray[Any]

_Z_95 = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""
_RESAMPLES = 1000
_DROP_DIGITS = 9
_INTERVAL_DIGITS = 6


def score(
    metric: Metric, outputs: Array, labels: Array | None, reference: Array | None, seed: int = 0
) -> AccuracyFacts:
    """Score outputs [N, ...] against labels [N] (top1, macroF1, mae) or against reference outputs [N, ...] (cosine).

    `agreement` is set when a reference is given and the outputs are class scores [N, C > 1].
    Raises DatasetInvalid when the labels do not fit the outputs.
    """
    if metric == "cosine":
        per_sample = _cosine(outputs, outputs if reference is None else reference)
        value, interval = (
            float(per_sample.mean()),
            _bootstrap(len(outputs), lambda i: float(per_sample[i].mean()), seed),
        )
    elif metric == "mae":
        errors = _absolute_errors(outputs, required(labels, metric))
        value, interval = float(errors.mean()), _bootstrap(len(outputs), lambda i: float(errors[i].mean()), seed)
    else:
        value, interval = _classified(metric, outputs, required(labels, metric), seed)
    return AccuracyFacts(
        metric=metric,
        value=value,
        low=interval[0],
        high=interval[1],
        samples=len(outputs),
        agreement=_agreement(outputs, reference),
    )


def drop(metric: Metric, reference: float, value: float) -> float:
    """How much worse `value` is than the reference; positive is worse, whichever way the metric points.

    Rounded, because a gate of 0.01 must let 0.97 pass against 0.98, whose difference in floats is above 0.01.
    """
    return round(value - reference if metric in LOWER_IS_BETTER else reference - value, _DROP_DIGITS)


def drop_interval(
    metric: Metric, outputs: Array, reference: Array, labels: Array | None, seed: int = 0
) -> DropInterval:
    """Confidence interval of the drop from the outputs of both models [N, ...] on the same samples.

    Raises DatasetInvalid when the labels do not fit the outputs.
    """
    count = len(outputs)
    if metric == "cosine":
        away = 1 - _cosine(outputs, reference)
        low, high = paired_bounds(count, lambda i: float(away[i].mean()), seed)
        return _interval(low, high)
    known = required(labels, metric)
    if metric == "mae":
        worse = _absolute_errors(outputs, known) - _absolute_errors(reference, known)
        low, high = paired_bounds(count, lambda i: float(worse[i].mean()), seed)
        return _interval(low, high)
    ours, theirs = _classes(outputs), _classes(reference)
    if metric == "top1":
        right, were_right = ours == known, theirs == known
        lost, gained = int((were_right & ~right).sum()), int((right & ~were_right).sum())
        found = _interval(drop_low(lost, gained, count), drop_high(lost, gained, count))
        return found.model_copy(update={"lost": lost, "gained": gained})
    return _macro_f1_interval(ours, theirs, known, seed)


def _macro_f1_interval(ours: Array, theirs: Array, labels: Array, seed: int) -> DropInterval:
    """A changed class costs about 1 / N of macro F1, so what N samples can miss bounds it from below, as for top1."""

    def lost(chosen: Array) -> float:
        return macro_f1(theirs[chosen], labels[chosen]) - macro_f1(ours[chosen], labels[chosen])

    low, high = paired_bounds(len(labels), lost, seed)
    return _interval(low, None if high is None else max(high, drop_high(0, 0, len(labels))))


def _interval(low: float | None, high: float | None) -> DropInterval:
    """Rounded away from the drop, so that it promises no more: results travel in 4 KiB."""
    unit = 10**_INTERVAL_DIGITS
    return DropInterval(
        low=None if low is None else math.floor(low * unit) / unit,
        high=None if high is None else math.ceil(high * unit) / unit,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); sound near 0 and 1, where the normal interval is not."""
    share, squared = successes / trials, _Z_95**2
    centre = share + squared / (2 * trials)
    margin = _Z_95 * np.sqrt(share * (1 - share) / trials + squared / (4 * trials**2))
    scale = 1 + squared / trials
    low, high = float((centre - margin) / scale), float((centre + margin) / scale)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def macro_f1(predicted: Array, labels: Array) -> float:
    """Mean F1 over the classes that occur in labels or predictions."""
    size = int(max(predicted.max(), labels.max())) + 1
    hits = np.bincount(labels[predicted == labels], minlength=size)
    total = np.bincount(labels, minlength=size) + np.bincount(predicted, minlength=size)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def _classified(metric: Metric, outputs: Array, labels: Array, seed: int) -> tuple[float, tuple[float, float]]:
    predicted = _classes(outputs)
    check_labels(metric, labels, outputs.shape[1:])
    if metric == "top1":
        hits = int((predicted == labels).sum())
        return hits / len(labels), wilson(hits, len(labels))
    return macro_f1(predicted, labels), _bootstrap(len(labels), lambda i: macro_f1(predicted[i], labels[i]), seed)


def _classes(outputs: Array) -> Array:
    check_scores(outputs.shape[1:])
    classes: Array = outputs.reshape(len(outputs), -1).argmax(axis=1)
    return classes


def _absolute_errors(outputs: Array, labels: Array) -> Array:
    check_labels("mae", labels, outputs.shape[1:])
    flat = outputs.reshape(len(outputs), -1).astype(np.float64)
    wanted = labels.reshape(len(labels), -1).astype(np.float64)
    errors: Array = np.abs(flat - wanted).mean(axis=1)
    return errors


def _cosine(outputs: Array, reference: Array) -> Array:
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (outputs, reference))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    # two zero vectors agree; a zero vector and another one do not
    same = (np.abs(a - b).max(axis=1) == 0).astype(float)
    similarity: Array = np.where(norms > 0, (a * b).sum(axis=1) / np.where(norms > 0, norms, 1), same)
    return np.clip(similarity, -1, 1)


def _agreement(outputs: Array, reference: Array | None) -> float | None:
    if reference is None or not are_scores(outputs.shape[1:]):
        return None
    return float((_classes(outputs) == _classes(reference)).mean())


def _bootstrap(samples: int, statistic: Callable[[Array], float], seed: int) -> tuple[float, float]:
    """Percentile bootstrap (Efron 1979) of a statistic of sample numbers."""
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, samples, samples)) for _ in range(_RESAMPLES)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
