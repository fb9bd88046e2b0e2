"""How each toolchain wants a quantized model: one row each; the quantizer knows no toolchain by name."""

from dataclasses import dataclass, field, replace
from typing import Any

import onnx
from onnxruntime.quantization import QuantType

from ..api.capabilities import Precision, ToolchainName
from ..api.errors import QuantizationFailed
from ..api.quantization import StaticRecipe
from ..api.static_forms import lack_of
from ..toolchains.tidl.fixed_point import CHANGEABLE

Overrides = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Scheme:
    """A static quantization scheme."""

    activation: QuantType
    weight: QuantType
    per_channel: bool
    symmetric_activations: bool
    htp: bool
    """Quantize every operator by the rules of Qualcomm's HTP (onnxruntime's get_qnn_qdq_config)."""
    power_of_two: bool = False
    """Quantize layers by the rules of TIDL on TDA4VM: scales are powers of two, no zero points, one per tensor
    (toolchains/tidl/fixed_point.py); an activation that is never negative has no sign."""
    wide_weights: tuple[str, ...] = field(default=())
    """Operators whose weights stay int8 in an int4 scheme."""

    @property
    def activation_bits(self) -> int:
        """Bits of an activation."""
        return 16 if self.activation in (QuantType.QInt16, QuantType.QUInt16) else 8

    def weight_bits(self, operator: str) -> int:
        """Bits of the weights of an operator."""
        if self.weight == QuantType.QInt16:
            return 16
        return 4 if self.weight == QuantType.QInt4 and operator not in self.wide_weights else 8

    def widened(self) -> "Scheme":
        """The same with 16-bit activations."""
        return replace(self, activation=_WIDE.get(self.activation, self.activation))

    def widens(self, operator: str) -> bool:
        """Whether mixed precision may give an operator's output more bits."""
        return not self.power_of_two or operator in CHANGEABLE

    @property
    def name(self) -> str:
        """Short form such as `w8a8 per-channel`."""
        granularity = "per-channel" if self.per_channel else "per-tensor"
        granularity = f"power-of-two {granularity}" if self.power_of_two else granularity
        symmetric = " symmetric" if self.htp and self.symmetric_activations else ""
        return f"w{self.weight_bits('')}a{self.activation_bits} {granularity}{symmetric}"


_HTP_INT8 = Scheme(QuantType.QUInt8, QuantType.QInt8, per_channel=True, symmetric_activations=False, htp=True)
# The HTP takes 4-bit weights for convolutions with 16-bit activations; matrix products keep 8-bit weights, because
# they are quantized per tensor there, and 4 bits per tensor lose the model (reference measurements: 99 % to 61 %).
_HTP_INT4 = Scheme(QuantType.QUInt16, QuantType.QInt4, True, False, htp=True, wide_weights=("MatMul", "Gemm"))
_TIDL_INT8 = Scheme(
    QuantType.QInt8, QuantType.QInt8, per_channel=False, symmetric_activations=True, htp=False, power_of_two=True
)
_CPU_INT8 = Scheme(QuantType.QInt8, QuantType.QInt8, per_channel=True, symmetric_activations=False, htp=False)

_SCHEMES: dict[tuple[ToolchainName, Precision], Scheme] = {
    ("qnn", "int8"): _HTP_INT8,
    ("qnn", "int4"): _HTP_INT4,
    ("snpe-sdk", "int8"): _HTP_INT8,
    ("snpe-sdk", "int4"): _HTP_INT4,
    ("tidl", "int8"): _TIDL_INT8,
    ("onnxruntime", "int8"): _CPU_INT8,
}


_WIDE = {
    QuantType.QUInt8: QuantType.QUInt16,
    QuantType.QInt8: QuantType.QInt16,
    QuantType.QUInt16: QuantType.QUInt16,
}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items() if narrow != wide}


def scheme_for(toolchain: ToolchainName, precision: Precision, wanted: StaticRecipe | None = None) -> Scheme:
    """The static scheme of a toolchain for a precision, changed as wanted. Raises QuantizationFailed."""
    if (toolchain, precision) not in _SCHEMES:
        offered = ", ".join(sorted(p for t, p in _SCHEMES if t == toolchain))
        raise QuantizationFailed(
            f"the toolchain {toolchain} has no static {precision} scheme", hint=f"It takes {offered}"
        )
    scheme = _SCHEMES[toolchain, precision]
    if wanted is None:
        return scheme
    if lack := lack_of(toolchain, precision, wanted):
        raise QuantizationFailed(lack)
    return _changed(scheme, wanted)


def _changed(scheme: Scheme, wanted: StaticRecipe) -> Scheme:
    types = {16: _WIDE, 8: _NARROW}.get(wanted.activation_bits or 0, {})
    return replace(
        scheme,
        activation=types.get(scheme.activation, scheme.activation),
        # TIDL's bits are those of a whole layer
        weight=types.get(scheme.weight, scheme.weight) if scheme.power_of_two else scheme.weight,
        per_channel=scheme.per_channel if wanted.per_channel is None else wanted.per_channel,
        symmetric_activations=(
            scheme.symmetric_activations if wanted.symmetric_activations is None else wanted.symmetric_activations
        ),
    )


def weight_overrides(scheme: Scheme, model: onnx.ModelProto) -> Overrides:
    """Weights that need another type than the scheme's own."""
    initializers = {weight.name for weight in model.graph.initializer}
    overrides: Overrides = {}
    for node in model.graph.node:
        weights = [name for name in node.input[1:2] if name in initializers]
        if scheme.htp and node.op_type == "LayerNormalization":
            # per-channel int8 gamma makes the HTP refuse the node (error 3110), which then runs on the CPU unnoticed
            overrides |= {name: [{"quant_type": QuantType.QUInt8}] for name in weights}
        elif node.op_type in scheme.wide_weights:
            weights = [name for name in node.input[:2] if name in initializers]
            overrides |= {name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in weights}
    return overrides
