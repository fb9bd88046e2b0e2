"""Let a program that was exported with batch 1 take several samples at once, where that is proven to be the same.

An exported program has its shapes baked in, and cannot be exported anew with a dynamic batch without its Python
source. Gradient accumulation is exact for any program: with batch norms folded no operator mixes samples, so the mean
of the samples' gradients is the batch's gradient. It is slow for small nets, though (three times on the reference
net). So the first number of each reshape is left open, and the net is run on a few samples together and one by one:
only if that works and agrees, it takes several at once, and gradients are accumulated over fewer parts.
"""

import copy

import torch
from torch.fx import GraphModule

from .losses import Outputs
from .samples import Samples, float_outputs

TOGETHER = 8
"""Samples at once: more bring little on CPUs, and memory grows with them."""
_PROBE = 3
_TOLERANCE = 1e-4
"""Largest difference, as a share of the largest output: float32 sums in another order differ by about 1e-6."""

aten = torch.ops.aten
_RESHAPES = {aten.reshape.default, aten.view.default, aten._unsafe_view.default}


def batched(module: GraphModule, samples: Samples) -> tuple[GraphModule, int]:
    """The program, with open reshapes if it can take TOGETHER samples at once; and how many it takes."""
    if len(samples) < _PROBE:
        return module, 1
    opened = _opened(module)
    return (opened, TOGETHER) if _agrees(opened, module, samples) else (module, 1)


def _opened(module: GraphModule) -> GraphModule:
    changed = copy.deepcopy(module)
    for node in changed.graph.nodes:
        if node.target in _RESHAPES and -1 not in node.args[1]:
            node.args = (node.args[0], [-1, *node.args[1][1:]])
    changed.recompile()
    return changed


def _agrees(opened: GraphModule, module: GraphModule, samples: Samples) -> bool:
    with torch.no_grad():
        single = [float_outputs(module(*samples.inputs([place]))) for place in range(_PROBE)]
        try:
            together = float_outputs(opened(*samples.inputs(range(_PROBE))))
        except (RuntimeError, IndexError):  # a shape that the batch does not fit
            return False
    return _same(together, tuple(torch.cat(parts) for parts in zip(*single, strict=True)))


def _same(found: Outputs, expected: Outputs) -> bool:
    return all(
        a.shape == b.shape and bool((a - b).abs().max() <= _TOLERANCE * b.abs().max().clamp(min=1e-6))
        for a, b in zip(found, expected, strict=True)
    )
