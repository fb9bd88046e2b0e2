"""Adam over the weights of a net and the ends of its learned ranges, at a rate that falls by a half cosine."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule

from .learned_range import LearnedRange
from .program import used_parameters

RANGE_RATE = 3.0
"""Learning rate of a range's ends as a multiple of the weights' (docs/qat.md, "Learned steps", has what was tried)."""
FINAL_RATE = 0.01
"""Share of the learning rate that is left at the last step."""


class Optimizer:
    """Moves the weights from the first step on, and each range from when it is told to."""

    def __init__(self, model: GraphModule, learning_rate: float) -> None:
        """`learning_rate` is that of the weights at the first step."""
        self._rate = learning_rate
        self._adam = torch.optim.Adam([_group(used_parameters(model).values(), 1.0)], lr=learning_rate)

    def learn(self, ranges: Iterable[LearnedRange]) -> None:
        """From here on the ends of these ranges are learned, too."""
        found = list(ranges)
        for each in found:
            if each.growth is None:
                each.learn()
        if found:
            self._adam.add_param_group(_group([each.growth for each in found if each.growth is not None], RANGE_RATE))

    def clear(self) -> None:
        """Forget the gradients of the last step."""
        self._adam.zero_grad()

    def step(self, done: float) -> None:
        """Move by the gradients, when a share `done` of all steps is over."""
        for group in self._adam.param_groups:
            group["lr"] = group["share"] * self._rate * cosine(done)
        self._adam.step()

    def is_finite(self) -> bool:
        """Whether every gradient is a number."""
        parameters = [each for group in self._adam.param_groups for each in group["params"]]
        return all(bool(torch.isfinite(each.grad).all()) for each in parameters if each.grad is not None)

    def state(self) -> dict[str, Any]:
        """What goes into a checkpoint."""
        return dict(self._adam.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; the same ranges must have been told to learn, in the same order."""
        self._adam.load_state_dict(state)


def cosine(share: float) -> float:
    """Factor of the learning rate after a share of the steps: a half cosine from 1 to FINAL_RATE."""
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * share))


def _group(parameters: Iterable[torch.nn.Parameter], share: float) -> dict[str, Sequence[torch.nn.Parameter] | float]:
    return {"params": list(parameters), "share": share}
