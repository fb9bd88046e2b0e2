"""Labels as arrays: what is told of them, and that they fit (api/label_fit.py)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..api.errors import DatasetInvalid
from ..api.label_fit import Misfit, are_scores, misfit, no_scores, one_class
from ..api.stages import LabelFacts, Metric

Array = NDArray[Any]

_MOST = np.iinfo(np.int64).max
"""What an API server keeps of an integer."""


def label_facts(labels: Array) -> LabelFacts:
    """What is told of labels [N, ...]."""
    low, high = None, None
    if np.issubdtype(labels.dtype, np.integer):
        low, high = (min(int(edge), _MOST) for edge in (labels.min(), labels.max()))
    return LabelFacts(dtype=labels.dtype.name, shape=list(labels.shape[1:]), low=low, high=high)


def required(labels: Array | None, metric: Metric) -> Array:
    """The labels. Raises DatasetInvalid when there are none."""
    if labels is None:
        raise DatasetInvalid(f"the metric {metric} needs labels", hint="Add labels [N] to the dataset, or use cosine")
    return labels


def check_scores(output: Sequence[int]) -> None:
    """Raise DatasetInvalid unless the first output of a sample is one score per class."""
    _refuse(None if are_scores(output) else no_scores(output))


def check_labels(metric: Metric, labels: Array, output: Sequence[int]) -> None:
    """Raise DatasetInvalid unless labels [N, ...] fit a first output of this shape (of one sample)."""
    _refuse(misfit(metric, label_facts(labels), len(labels), output))


def check_classes(metric: Metric, labels: Array | None) -> None:
    """Raise DatasetInvalid for class numbers of a whole dataset that are all the same."""
    _refuse(one_class(metric, label_facts(labels), len(labels)) if labels is not None else None)


def _refuse(found: Misfit | None) -> None:
    if found:
        raise DatasetInvalid(found.problem, hint=found.hint)
