"""Fake quantization whose range is learned by gradient, of weights and of activations.

A range begins as it was found, by learned rounding or by what samples reach. From then on its ends are parameters of
the net: inside, what rounding adds or takes moves the step (Esser et al. 2020, "Learned Step Size Quantization");
outside, what is cut off moves the end that cut it (Jain et al. 2020, "Trained Quantization Thresholds").
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.fake_quantize import FakeQuantize

aten = torch.ops.aten

SMALLEST_UNIT = 0.01
"""Of a tensor whose weights are all smaller, a step of training would move the range by whole factors."""


class LearnedRange(FakeQuantize):  # type: ignore[misc]
    """Watches a tensor's range like any fake quantization; after `learn` its ends follow their gradients.

    `growth` says how far the ends have moved: [2] for an affine range, [1] for a symmetric one, [C] for one per
    channel. An end moves by the factor exp(growth / unit), so that it never changes its sign. The unit of an activation
    is 1, that of a weight its largest value: so at one learning rate no range outruns the weights that it holds.
    """

    def __init__(self, *, of_weight: bool, **arguments: Any) -> None:
        """As torchao's FakeQuantize; `of_weight`: of what convolutions and matrix products multiply by."""
        super().__init__(**arguments)
        self.of_weight = of_weight
        self.symmetric = self.qscheme in (torch.per_tensor_symmetric, torch.per_channel_symmetric)
        self.growth: nn.Parameter | None
        self.register_parameter("growth", None)

    def learn(self) -> None:
        """Make the ends that were found parameters of the net; nothing watches the tensor any more."""
        self.growth = nn.Parameter(torch.zeros(self._found().shape))

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point by the observer's own formula, which is what conversion takes.

        Where training diverged the scale is NaN, and with it the loss, by which the trainer tells.
        """
        low, high = self._ends()
        if torch.isnan(low).any() or torch.isnan(high).any():
            return torch.full_like(low.detach(), torch.nan).reshape(-1), torch.zeros(low.numel(), dtype=torch.int32)
        found: tuple[Tensor, Tensor] = self.activation_post_process._calculate_qparams(low.detach(), high.detach())
        return found

    def forward(self, X: Tensor) -> Tensor:  # torchao's name
        """The tensor on its grid."""
        if self.growth is None or not self.fake_quant_enabled[0]:
            watched: Tensor = super().forward(X)
            return watched
        observer, axis = self.activation_post_process, self.ch_axis if self.is_per_channel else None
        rounded: Tensor = _Round.apply(  # type: ignore[no-untyped-call]
            X, *self._ends(), *self.calculate_qparams(), axis, observer.quant_min, observer.quant_max
        )
        return rounded

    def _found(self) -> Tensor:
        """Magnitudes of the ends that were watched: of the lower and the upper one, or of both."""
        observer = self.activation_post_process
        low, high = (-observer.min_val).clamp(min=0), observer.max_val.clamp(min=0)
        return torch.maximum(low, high).reshape(-1) if self.symmetric else torch.stack([low, high])

    def _ends(self) -> tuple[Tensor, Tensor]:
        observer, found = self.activation_post_process, self._found()
        if self.growth is None:
            return observer.min_val, observer.max_val
        unit = found.max().clamp(min=SMALLEST_UNIT) if self.of_weight else 1.0
        grown = found * (self.growth / unit).exp()
        low, high = (grown, grown) if self.symmetric else (grown[0], grown[1])
        return -low.reshape(observer.min_val.shape), high.reshape(observer.max_val.shape)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        growth = state_dict.get(f"{prefix}growth")
        self.growth = None if growth is None else nn.Parameter(torch.zeros_like(growth))
        super()._load_from_state_dict(state_dict, prefix, *others)


def learned_ranges(model: GraphModule, *, of_weights: bool) -> Iterator[LearnedRange]:
    """The modules of a net whose ranges can be learned: those of weights, or all others."""
    for module in model.modules():
        if isinstance(module, LearnedRange) and module.of_weight == of_weights:
            yield module


def learned_counts(model: GraphModule) -> dict[str, int]:
    """How many ranges of a net were learned by gradient, of weights and of all others."""
    kinds = {"weights": True, "activations": False}
    return {
        kind: sum(each.growth is not None for each in learned_ranges(model, of_weights=of_weights))
        for kind, of_weights in kinds.items()
    }


class _Round(torch.autograd.Function):
    """Rounds to a grid; has gradients for the values and for both ends of the range."""

    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        low: Tensor,
        high: Tensor,
        scale: Tensor,
        zero_point: Tensor,
        axis: int | None,
        quant_min: int,
        quant_max: int,
    ) -> Tensor:
        """`low`, `high`, `scale`, `zero_point`: [C] along `axis`, or one number each."""
        if axis is None:
            step, zero = float(scale), int(zero_point)
            found = aten.fake_quantize_per_tensor_affine_cachemask(value, step, zero, quant_min, quant_max)
        else:
            zeros = zero_point.to(torch.int32)
            found = aten.fake_quantize_per_channel_affine_cachemask(value, scale, zeros, axis, quant_min, quant_max)
        rounded: Tensor = found[0]
        inside: Tensor = found[1]
        ctx.save_for_backward(value, rounded, inside, scale)
        ctx.axis, ctx.codes, ctx.shape = axis, quant_max - quant_min, high.shape
        return rounded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Inside the range d rounded / d step = (rounded - value) / step, and step = (high - low) / codes."""
        value, rounded, inside, scale = ctx.saved_tensors
        passed = gradient * inside
        step = _sum(passed * (rounded - value), ctx.axis, ctx.shape) / (scale.reshape(ctx.shape) * ctx.codes)
        if inside.all():
            return passed, -step, step, *[None] * 5
        cut, above = gradient - passed, value > rounded
        low, high = (_sum(cut * side, ctx.axis, ctx.shape) for side in (~above, above))
        return passed, low - step, high + step, *[None] * 5


def _sum(values: Tensor, axis: int | None, shape: torch.Size) -> Tensor:
    """Over everything but `axis`."""
    others = [place for place in range(values.ndim) if place != axis]
    total: Tensor = values.sum(others) if others else values
    return total.reshape(shape)
