"""Whether labels fit a metric and the model's first output: asked by the operator after resolve, and by what scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from .stages import LabelFacts, Metric

CLASS_METRICS: tuple[Metric, ...] = ("top1", "macroF1")
"""Metrics whose labels are class numbers."""


@dataclass(frozen=True)
class Misfit:
    """What does not fit, and what to change."""

    problem: str
    hint: str


def sample_shape(output: Sequence[int]) -> tuple[int, ...]:
    """Shape of an output without the batch axis of 1."""
    return tuple(output[1:] if len(output) > 1 and output[0] == 1 else output)


def are_scores(output: Sequence[int]) -> bool:
    """Whether an output of this shape (of one sample) is one score per class."""
    return len(output) > 0 and output[-1] >= 2 and prod(output[:-1]) == 1


def misfit(metric: Metric, labels: LabelFacts, samples: int, output: Sequence[int]) -> Misfit | None:
    """Why labels of so many samples do not fit a first output of this shape (of one sample); None where they do."""
    if metric == "cosine":
        return None
    if metric not in CLASS_METRICS:
        return None if prod(labels.shape) == prod(output) else _other_values(labels, output)
    if not are_scores(output):
        return no_scores(output)
    if labels.shape or labels.low is None or labels.high is None:
        return _no_class_numbers(labels, samples, output[-1])
    if labels.low < 0 or labels.high >= output[-1]:
        return Misfit(
            f"the labels go from {labels.low} to {labels.high}, but the model has the classes 0 to {output[-1] - 1}",
            "Correct the labels, or name the model that they belong to",
        )
    return None


def one_class(metric: Metric, labels: LabelFacts, samples: int) -> Misfit | None:
    """Why a whole dataset's class numbers prove nothing."""
    if metric not in CLASS_METRICS or samples < 2 or labels.shape or labels.low is None or labels.low != labels.high:
        return None
    return Misfit(
        f"all labels are {labels.low}: a net that always answers this would score best",
        "Give samples of every class, or use spec.dataset.metric: cosine",
    )


def no_scores(output: Sequence[int]) -> Misfit:
    """The first output is no score per class."""
    return Misfit(
        f"the model's first output has shape {list(output)}, which is not one score per class",
        "Put the class scores first, or use spec.dataset.metric: mae or cosine",
    )


def _other_values(labels: LabelFacts, output: Sequence[int]) -> Misfit:
    return Misfit(
        f"labels of shape {labels.shape} do not fit outputs of shape {list(output)}", "Give one number per output value"
    )


def _no_class_numbers(labels: LabelFacts, samples: int, classes: int) -> Misfit:
    """For who has one number per class instead: which class is meant is not guessed."""
    one_each = labels.shape == [classes]
    save = "Save labels.argmax(axis=1) if these are one-hot" if one_each else "Save labels as int64 [N]"
    return Misfit(
        f"the labels are {labels.dtype} of shape {[samples, *labels.shape]}, not one class number per sample",
        f"{save}, or use spec.dataset.metric: mae for values, cosine without labels",
    )
