"""Training and held-out samples as tensors, with the fp32 model's answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.fx import GraphModule

from ...api.errors import DatasetInvalid
from ..dataset import Dataset
from ..progress import Progress
from .losses import Outputs

Indices = NDArray[np.int64]

HELD_OUT_SHARE = 0.2
"""Share of the samples outside the evaluation that judges the epochs; the rest trains."""
MINIMUM_TRAINING_SAMPLES = 8
"""Below this the moving averages of the ranges mean nothing."""


@dataclass(frozen=True)
class Parts:
    """Sample numbers; disjoint, and none of them in the evaluation."""

    training: Indices
    held_out: Indices


def parts(samples: int, evaluation: Indices, seed: int) -> Parts:
    """Divide all samples but those of the evaluation. Raises DatasetInvalid when too few are left."""
    others = np.setdiff1d(np.arange(samples, dtype=np.int64), evaluation)
    order = np.random.default_rng(seed).permutation(others)
    count = max(1, int(len(order) * HELD_OUT_SHARE))
    if len(order) - count < MINIMUM_TRAINING_SAMPLES:
        raise DatasetInvalid(
            f"{len(order)} of the dataset's {samples} samples are outside the evaluation, too few to train on",
            hint="Give more samples, or lower spec.dataset.evaluationSamples",
        )
    return Parts(order[count:], order[:count])


class Samples:
    """Some samples of a dataset, each in the model's own shape (batch 1), and what fp32 says to them."""

    def __init__(self, dataset: Dataset, indices: Indices, names: Sequence[str]) -> None:
        """`names` are the program's inputs in their order."""
        self._dataset, self._names = dataset, names
        self.indices = indices
        self.teacher: list[Outputs] = []

    def __len__(self) -> int:
        return len(self.indices)

    def inputs(self, places: Sequence[int]) -> tuple[Tensor, ...]:
        """Inputs of some samples, one behind the other along the batch axis."""
        feeds = [self._dataset.feed(int(self.indices[place])) for place in places]
        return tuple(torch.from_numpy(np.concatenate([feed[name] for feed in feeds])) for name in self._names)

    def answers(self, places: Sequence[int]) -> Outputs:
        """What fp32 says to them."""
        return tuple(torch.cat(parts) for parts in zip(*(self.teacher[place] for place in places), strict=True))

    def labels_of(self, places: Sequence[int]) -> Tensor | None:
        """Their labels [N, ...]; None without labels."""
        if self._dataset.labels is None:
            return None
        return torch.from_numpy(np.asarray(self._dataset.labels[self.indices[list(places)]]))

    def labels(self) -> NDArray[np.generic] | None:
        """All labels [N, ...]."""
        return None if self._dataset.labels is None else self._dataset.labels[self.indices]


def outputs_of(model: GraphModule, samples: Samples, together: int, progress: Progress, step: str) -> list[Outputs]:
    """Float outputs of a model on each sample, asked `together` samples at once."""
    found: list[Outputs] = []
    with torch.no_grad():
        for places in groups(list(range(len(samples))), together):
            outputs = float_outputs(model(*samples.inputs(places)))
            found.extend(zip(*(torch.chunk(output, len(places)) for output in outputs), strict=True))
            progress(step, len(found), len(samples))
    return found


def groups(places: Sequence[int], size: int) -> list[Sequence[int]]:
    """Parts of at most `size`."""
    return [places[start : start + size] for start in range(0, len(places), size)]


def float_outputs(value: object) -> Outputs:
    """Flatten what a model gives into its float tensors, in their order."""
    leaves = torch.utils._pytree.tree_leaves(value)
    return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point())


def first_outputs(outputs: Sequence[Outputs]) -> NDArray[np.float32]:
    """The first output of each sample as [N, ...], without the batch axis of 1."""
    values = [outputs[0].detach().numpy() for outputs in outputs]
    return np.stack([value[0] if value.ndim > 1 and value.shape[0] == 1 else value for value in values])
