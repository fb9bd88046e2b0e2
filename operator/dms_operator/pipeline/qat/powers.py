"""Training for power-of-two steps, as TIDL on TDA4VM computes: the observer, and which tensors need no sign."""

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.fake_quantize import FakeQuantize
from torchao.quantization.pt2e.observer import MovingAverageMinMaxObserver
from torchao.quantization.pt2e.quantizer import QuantizationSpec

from ...toolchains.tidl.powers import SMALLEST_MAGNITUDE

aten = torch.ops.aten

_NEVER_NEGATIVE = {
    aten.relu.default,
    aten.relu_.default,
    aten.relu6.default,
    aten.hardsigmoid.default,
    aten.sigmoid.default,
    aten.softmax.int,
    aten._softmax.default,
    aten.abs.default,
    aten.exp.default,
    aten.sqrt.default,
}
_CLAMPS = {aten.hardtanh.default, aten.hardtanh_.default, aten.clamp.default}
_NEGATIVE_ONLY_BY_INPUTS = {
    aten.add.Tensor,
    aten.mul.Tensor,
    aten.mean.dim,
    aten.adaptive_avg_pool2d.default,
    aten.avg_pool2d.default,
    aten.cat.default,
}
"""Operators that give no negative value where none of their inputs has one; those that only move values join them."""


class PowerOfTwoObserver(MovingAverageMinMaxObserver):  # type: ignore[misc]
    """The step of `toolchains.tidl.powers.scale_for`, by the moving average of the range; the zero point is 0."""

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and zero point, one number each."""
        magnitude = torch.maximum(-self.min_val, self.max_val)
        exponent = torch.ceil(torch.log2(magnitude.clamp(min=SMALLEST_MAGNITUDE)))
        scale = torch.exp2(exponent) / (self.quant_max + 1)
        seen = torch.isfinite(magnitude) & (magnitude >= SMALLEST_MAGNITUDE)
        scale = torch.where(seen, scale, torch.ones_like(scale)).reshape(1).to(torch.float32)
        return scale, torch.zeros(1, dtype=torch.int32)


def power_of_two_spec(bits: int, averaging: float, *, signed: bool) -> QuantizationSpec:
    """Per-tensor spec of a tensor with or without sign."""
    levels = 2 ** (bits - 1 if signed else bits)
    types = {(8, True): torch.int8, (8, False): torch.uint8, (16, True): torch.int16, (16, False): torch.uint16}
    fake = FakeQuantize.with_args(observer=PowerOfTwoObserver, averaging_constant=averaging)
    low = -levels if signed else 0
    return QuantizationSpec(types[bits, signed], fake, low, levels - 1, torch.per_tensor_affine)


def unsigned_nodes(model: GraphModule, inputs: frozenset[str], moves: frozenset[object]) -> set[Node]:
    """The nodes that give no negative value, `inputs` among the placeholders; `moves` are operators that only move."""
    found: set[Node] = set()
    for node in model.graph.nodes:
        given = node.op == "placeholder" and node.target in inputs
        if given or (node.op == "call_function" and _stays_positive(node, found, moves)):
            found.add(node)
    return found


def _stays_positive(node: Node, positive: set[Node], moves: frozenset[object]) -> bool:
    if node.target in _NEVER_NEGATIVE:
        return True
    if node.target in _CLAMPS:
        return len(node.args) > 1 and isinstance(node.args[1], int | float) and node.args[1] >= 0
    if node.target in moves or getattr(node.target, "__name__", "") == "getitem":
        return node.all_input_nodes[0] in positive
    return node.target in _NEGATIVE_ONLY_BY_INPUTS and positive.issuperset(node.all_input_nodes)
