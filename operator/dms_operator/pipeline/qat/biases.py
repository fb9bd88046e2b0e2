"""Biases are rounded, too: to whole numbers in units of the input's step times the weight's, as they are added up.

In most nets that is finer than anything else. Where large weights cancel, it is not: a net trained with float biases
lost 1.6 points more as a file than in training (tests/model_fixtures/hard_models.py, `sheared` by 20, 8 bits).
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase

from .annotation import WEIGHTED, keeps_values

_BIAS = 2
"""Position of the bias among the arguments of every operator that is WEIGHTED."""


class BiasRounding(nn.Module):
    """Rounds a bias [C] by the steps that hold at that moment; its gradient passes straight through."""

    def __init__(self, data: FakeQuantizeBase, weight: FakeQuantizeBase) -> None:
        """`data` rounds the layer's input, `weight` its weight."""
        super().__init__()
        self._rounders = (data, weight)  # in a tuple, because they are modules of the net and not of this one

    def forward(self, bias: Tensor) -> Tensor:
        """The bias on its grid, or as it is while nothing is rounded."""
        data, weight = self._rounders
        if not (data.fake_quant_enabled[0] and weight.fake_quant_enabled[0]):
            return bias
        step = data.calculate_qparams()[0] * weight.calculate_qparams()[0]
        if step.numel() not in (1, bias.numel()):  # a transposed convolution in groups shares steps among channels
            return bias
        rounded: Tensor = bias + ((bias / step).round() * step - bias).detach()
        return rounded


def round_biases(model: GraphModule) -> None:
    """Round the biases of all layers of a prepared net whose input and weight are rounded."""
    modules = dict(model.named_modules())
    for number, node in enumerate(list(model.graph.nodes)):
        bias = node.args[_BIAS] if node.target in WEIGHTED and len(node.args) > _BIAS else None
        if not isinstance(bias, Node) or bias.op != "get_attr" or len(bias.users) > 1:
            continue
        rounders = [modules.get(str(_grid(node.args[place]).target)) for place in (0, 1)]
        if all(isinstance(each, FakeQuantizeBase) for each in rounders):
            name = f"bias_rounding_{number}"
            model.add_submodule(name, BiasRounding(*rounders))
            with model.graph.inserting_before(node):
                node.replace_input_with(bias, model.graph.call_module(name, (bias,)))
    model.recompile()


def fold_biases(model: GraphModule) -> None:
    """Give a prepared net the rounded biases as parameters, in place of the rounding."""
    for node, rounding in list(_roundings(model)):
        [bias] = node.all_input_nodes
        parameter = model.get_parameter(str(bias.target))
        with torch.no_grad():
            parameter.copy_(rounding(parameter))
        node.replace_all_uses_with(bias)
        model.graph.erase_node(node)
        model.delete_submodule(str(node.target))
    model.recompile()


def _roundings(model: GraphModule) -> Iterator[tuple[Node, BiasRounding]]:
    for node in model.graph.nodes:
        module = model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, BiasRounding):
            yield node, module


def _grid(node: Node) -> Node:
    """The node whose grid a tensor lies on, past operators that only move values."""
    while node.op == "call_function" and keeps_values(node):
        node = node.all_input_nodes[0]
    return node
