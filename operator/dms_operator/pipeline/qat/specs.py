"""A scheme in torchao's words: which integer type, range and granularity each kind of tensor is trained for."""

from typing import Any

import torch
from onnxruntime.quantization import QuantType
from torchao.quantization.pt2e.observer import MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec

from ..schemes import Scheme
from .learned_range import LearnedRange
from .powers import power_of_two_spec

_TYPES: dict[QuantType, tuple[torch.dtype, int, int]] = {
    QuantType.QUInt8: (torch.uint8, 0, 255),
    QuantType.QInt8: (torch.int8, -128, 127),
    QuantType.QUInt16: (torch.uint16, 0, 65535),
    QuantType.QInt16: (torch.int16, -32768, 32767),
    QuantType.QInt4: (torch.int8, -8, 7),
}
"""Storage type in torch and the whole range; torch has no 4-bit tensors that pt2e could train."""

ACTIVATION_AVERAGING = 0.1
"""Share of each new range in the moving average. Ten times torch's default: several samples make one range here, and
what lies outside a range has no gradient, so that a range which follows too slowly stops the training."""

_SATURATING_16_BIT = {
    torch.ops.aten.sigmoid.default: {torch.uint16: (1 / 65536, 0), torch.int16: (1 / 32768, 0)},
    torch.ops.aten.tanh.default: {torch.uint16: (1 / 32768, 32768), torch.int16: (1 / 32768, 0)},
}
"""Scale and zero point that QNN demands of 16-bit Sigmoid and Tanh (onnxruntime's QnnCompatibilityOverrides)."""


def activation_spec(scheme: Scheme, *, signed: bool = True) -> QuantizationSpec:
    """Per-tensor spec of activations, with a moving average of the range; only power-of-two steps know of signs."""
    if scheme.power_of_two:
        return power_of_two_spec(scheme.activation_bits, ACTIVATION_AVERAGING, signed=signed)
    return _tensor_spec(scheme.activation, scheme.symmetric_activations, ACTIVATION_AVERAGING)


def constant_spec(scheme: Scheme) -> QuantizationSpec:
    """Per-tensor spec of parameters that weigh no convolution or matrix product, rounded as activations."""
    if scheme.power_of_two:
        return power_of_two_spec(scheme.activation_bits, 1.0, signed=True)
    return _tensor_spec(scheme.activation, scheme.symmetric_activations, 1.0)


def norm_scale_spec(scheme: Scheme) -> QuantizationSpec:
    """Spec of LayerNormalization's scale: uint8 on the HTP, see schemes.weight_overrides."""
    return _tensor_spec(QuantType.QUInt8, False, 1.0) if scheme.htp else weight_spec(scheme, wide=True, axis=None)


def saturating_spec(scheme: Scheme, operator: object) -> FixedQParamsQuantizationSpec | None:
    """The fixed output spec of an operator on the HTP, where it has one."""
    dtype, low, high = _TYPES[scheme.activation]
    fixed = _SATURATING_16_BIT.get(operator, {}).get(dtype) if scheme.htp else None  # type: ignore[call-overload]
    if fixed is None:
        return None
    return FixedQParamsQuantizationSpec(dtype, *fixed, quant_min=low, quant_max=high, qscheme=torch.per_tensor_affine)


def weight_spec(scheme: Scheme, *, wide: bool, axis: int | None) -> QuantizationSpec:
    """Symmetric spec of a weight, per channel along `axis` or per tensor (None); a `wide` one keeps 8 bits."""
    if scheme.power_of_two:
        return power_of_two_spec(scheme.weight_bits(""), 1.0, signed=True)
    dtype, low, high = _range(QuantType.QInt8 if wide else scheme.weight, symmetric=True)
    if axis is None:
        fake = _learned(MovingAverageMinMaxObserver, 1.0, of_weight=True)
        return QuantizationSpec(dtype, fake, low, high, torch.per_tensor_symmetric)
    fake = _learned(MovingAveragePerChannelMinMaxObserver, 1.0, of_weight=True)
    return QuantizationSpec(dtype, fake, low, high, torch.per_channel_symmetric, axis)


def _tensor_spec(kind: QuantType, symmetric: bool, averaging: float) -> QuantizationSpec:
    dtype, low, high = _range(kind, symmetric)
    scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
    fake = _learned(MovingAverageMinMaxObserver, averaging, of_weight=False)
    return QuantizationSpec(dtype, fake, low, high, scheme)


def _learned(observer: type, averaging: float, *, of_weight: bool) -> Any:
    return LearnedRange.with_args(observer=observer, averaging_constant=averaging, of_weight=of_weight)


def _range(kind: QuantType, symmetric: bool) -> tuple[torch.dtype, int, int]:
    """The type's range; a symmetric one leaves out the lowest code, so that zero is exact in every convention."""
    dtype, low, high = _TYPES[kind]
    return (dtype, -high, high) if symmetric and low < 0 else (dtype, low, high)
