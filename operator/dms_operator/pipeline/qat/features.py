"""What the layers of a net in training give, held against what the fp32 model's layers give.

An answer of a few logits says little about thousands of weights: with some hundred samples a net learns these by heart.
The outputs of all layers say far more, and pull each layer to where the next one finds what it knows (Romero et al.
2015, "FitNets"; for quantization Li et al. 2021, "BRECQ").
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.nn import functional

from .annotation import WEIGHTED

FEATURES_SHARE = 3.0
"""Weight of the layers' error beside the loss of the answers: docs/qat.md measured with this one alone."""
_SMALLEST_VARIANCE = 1e-8
"""A layer that gives a constant is held to it, and divides by no zero."""


class Features:
    """Runs a net beside the fp32 model, and compares the outputs of the layers that both have by name."""

    def __init__(self, teacher: GraphModule, student: GraphModule) -> None:
        """Both come from one program, so that a layer has one name in both."""
        names = _layers(teacher) & _layers(student)
        self._teacher, self._student = _Watched(teacher, names), _Watched(student, names)

    def compare(self, inputs: tuple[Tensor, ...]) -> tuple[Any, Tensor]:
        """The net's outputs, and its layers' mean squared error as a share of the fp32 outputs' variance."""
        with torch.no_grad():
            self._teacher.run(*inputs)
        outputs = self._student.run(*inputs)
        wanted, found = self._teacher.seen, self._student.seen
        errors = [
            functional.mse_loss(found[name], each) / each.var().clamp(min=_SMALLEST_VARIANCE)
            for name, each in wanted.items()
        ]
        return outputs, torch.stack(errors).mean() if errors else torch.zeros(())


class _Watched(Interpreter):
    """Runs a graph and keeps what some of its nodes give."""

    def __init__(self, module: GraphModule, names: Iterable[str]) -> None:
        super().__init__(module)
        self._names = frozenset(names)
        self.seen: dict[str, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n.name in self._names:
            self.seen[n.name] = value
        return value


def _layers(module: GraphModule) -> set[str]:
    return {node.name for node in module.graph.nodes if node.target in WEIGHTED}
