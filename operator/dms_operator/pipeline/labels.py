"""Whether labels fit the metric and the model's first output: told by resolve, and again by whatever scores."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.errors import DatasetInvalid
from ..api.stages import Metric

Array = NDArray[Any]

CLASS_METRICS: tuple[Metric, ...] = ("top1", "macroF1")
"""Metrics whose labels are class numbers."""


def sample_shape(output: Sequence[int]) -> tuple[int, ...]:
    """Shape of an output without the batch axis of 1."""
    return tuple(output[1:] if len(output) > 1 and output[0] == 1 else output)


def check_labels(metric: Metric, labels: Array | None, output: Sequence[int]) -> None:
    """Raise DatasetInvalid unless a dataset's labels [N, ...] fit a first output of this shape (of one sample)."""
    if metric == "cosine":
        return
    known = required(labels, metric)
    if metric not in CLASS_METRICS:
        check_values(known, output)
        return
    check_scores(output)
    check_class_labels(known, output[-1], len(known))
    _refuse_one_class(known)


def required(labels: Array | None, metric: Metric) -> Array:
    """The labels. Raises DatasetInvalid when there are none."""
    if labels is None:
        raise DatasetInvalid(f"the metric {metric} needs labels", hint="Add labels [N] to the dataset, or use cosine")
    return labels


def are_scores(output: Sequence[int]) -> bool:
    """Whether an output of this shape (of one sample) is one score per class."""
    return len(output) > 0 and output[-1] >= 2 and prod(output[:-1]) == 1


def check_scores(output: Sequence[int]) -> None:
    """Raise DatasetInvalid unless the first output is one score per class."""
    if not are_scores(output):
        raise DatasetInvalid(
            f"the model's first output has shape {list(output)}, which is not one score per class",
            hint="Put the class scores first, or use spec.dataset.metric: mae or cosine",
        )


def check_values(labels: Array, output: Sequence[int]) -> None:
    """Raise DatasetInvalid unless there is a number for each value of the first output."""
    if prod(labels.shape[1:]) != prod(output):
        raise DatasetInvalid(
            f"labels of shape {list(labels.shape[1:])} do not fit outputs of shape {list(output)}",
            hint="Give one number per output value",
        )


def check_class_labels(labels: Array, classes: int, samples: int) -> None:
    """Raise DatasetInvalid unless there is a class number below `classes` for each sample."""
    if labels.shape != (samples,) or not np.issubdtype(labels.dtype, np.integer):
        raise DatasetInvalid(
            f"the labels are {labels.dtype} of shape {list(labels.shape)}, not one class number per sample",
            hint=f"{_as_class_numbers(labels, classes)}, or use spec.dataset.metric: mae for values, cosine without "
            "labels",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DatasetInvalid(
            f"the labels go from {labels.min()} to {labels.max()}, but the model has the classes 0 to {classes - 1}",
            hint="Correct the labels, or name the model that they belong to",
        )


def _as_class_numbers(labels: Array, classes: int) -> str:
    """What to save, for who has one number per class instead: which class is meant is not guessed here."""
    one_each = labels.ndim == 2 and labels.shape[1] == classes
    return "Save labels.argmax(axis=1) if these are one-hot" if one_each else "Save labels as int64 [N]"


def _refuse_one_class(labels: Array) -> None:
    if len(labels) > 1 and labels.min() == labels.max():
        raise DatasetInvalid(
            f"all labels are {labels.max()}: a net that always answers this would score best",
            hint="Give samples of every class, or use spec.dataset.metric: cosine",
        )
