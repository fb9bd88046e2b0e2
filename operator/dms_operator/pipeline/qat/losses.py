"""What training minimizes: the labels' error, the distance from the fp32 model, or both where there are labels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...api.stages import Metric

TEMPERATURE = 2.0
"""Softens class scores for distillation (Hinton et al. 2015 use 1 to 20; 2 for nets of like size)."""
LABEL_SHARE = 0.5
"""Weight of the labels' loss beside the distillation's: the fp32 model says more per sample than a label."""

CLASS_METRICS: frozenset[Metric] = frozenset({"top1", "macroF1"})
_PROBABILITY_TOLERANCE = 1e-3
_SMALLEST_PROBABILITY = 1e-7

Outputs = tuple[Tensor, ...]


class Loss:
    """Loss of one batch. Distillation divides by each output's own power, so that 1 means "nothing in common"."""

    def __init__(self, metric: Metric, teacher: Sequence[Outputs]) -> None:
        """Learn from the fp32 model's outputs on the training samples how large each output is, and of what kind."""
        self._metric = metric
        self._powers = [torch.stack(values).square().mean().clamp(min=1e-12) for values in zip(*teacher, strict=True)]
        self._probabilities = all(_is_distribution(outputs[0]) for outputs in teacher)

    def __call__(self, outputs: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        """Mean loss of a batch; `labels` [N] (class metrics) or [N, ...] (mae), None without labels."""
        distillation = torch.stack([self._distance(place, outputs, teacher) for place in range(len(outputs))]).sum()
        if labels is None or self._metric == "cosine":
            return distillation
        return LABEL_SHARE * self._label_loss(outputs[0], labels) + (1 - LABEL_SHARE) * distillation

    def _distance(self, place: int, outputs: Outputs, teacher: Outputs) -> Tensor:
        if place == 0 and self._metric in CLASS_METRICS:
            student, expected = (self._log_scores(values[0]) / TEMPERATURE for values in (outputs, teacher))
            return TEMPERATURE**2 * functional.kl_div(
                student.log_softmax(1), expected.log_softmax(1), reduction="batchmean", log_target=True
            )
        return functional.mse_loss(outputs[place], teacher[place]) / self._powers[place]

    def _label_loss(self, output: Tensor, labels: Tensor) -> Tensor:
        if self._metric in CLASS_METRICS:
            return functional.cross_entropy(self._log_scores(output), labels.long())
        return functional.l1_loss(output.reshape(len(labels), -1), labels.reshape(len(labels), -1).to(output.dtype))

    def _log_scores(self, output: Tensor) -> Tensor:
        """Class scores [N, C] before softmax, also of nets that end in one."""
        flat = output.reshape(len(output), -1)
        return flat.clamp(min=_SMALLEST_PROBABILITY).log() if self._probabilities else flat


def _is_distribution(output: Tensor) -> bool:
    flat = output.reshape(len(output), -1)
    sums = (flat.sum(1) - 1).abs().max()
    return bool(flat.shape[1] > 1 and flat.min() >= 0 and sums <= _PROBABILITY_TOLERANCE)
