"""How each toolchain wants a quantized model: one row each; the quantizer knows no toolchain by name."""

from dataclasses import dataclass, field
from typing import Any

import onnx
from onnxruntime.quantization import QuantType

from ..api.capabilities import Precision, ToolchainName
from ..api.errors import QuantizationFailed

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
    wide_weights: tuple[str, ...] = field(default=())
    """Operators whose weights stay int8 in an int4 scheme."""

    @property
    def activation_bits(self) -> int:
        """Bits of an activation."""
        return 16 if self.activation in (QuantType.QInt16, QuantType.QUInt16) else 8

    @property
    def name(self) -> str:
        """Short form such as `w8a8 per-channel`."""
        weight_bits = 4 if self.weight == QuantType.QInt4 else 8
        return f"w{weight_bits}a{self.activation_bits} {'per-channel' if self.per_channel else 'per-tensor'}"


_HTP_INT8 = Scheme(QuantType.QUInt8, QuantType.QInt8, per_channel=True, symmetric_activations=False, htp=True)
# The HTP takes 4-bit weights for convolutions with 16-bit activations; matrix products keep 8-bit weights, because
# they are quantized per tensor there, and 4 bits per tensor lose the model (reference measurements: 99 % to 61 %).
_HTP_INT4 = Scheme(QuantType.QUInt16, QuantType.QInt4, True, False, htp=True, wide_weights=("MatMul", "Gemm"))
_TIDL_INT8 = Scheme(QuantType.QInt8, QuantType.QInt8, per_channel=True, symmetric_activations=True, htp=False)
_CPU_INT8 = Scheme(QuantType.QInt8, QuantType.QInt8, per_channel=True, symmetric_activations=False, htp=False)

_SCHEMES: dict[tuple[ToolchainName, Precision], Scheme] = {
    ("qnn", "int8"): _HTP_INT8,
    ("qnn", "int4"): _HTP_INT4,
    ("snpe-sdk", "int8"): _HTP_INT8,
    ("snpe-sdk", "int4"): _HTP_INT4,
    ("tidl", "int8"): _TIDL_INT8,
    ("onnxruntime", "int8"): _CPU_INT8,
}


def scheme_for(toolchain: ToolchainName, precision: Precision) -> Scheme:
    """The static scheme of a toolchain for a precision. Raises QuantizationFailed where there is none."""
    if (toolchain, precision) not in _SCHEMES:
        offered = ", ".join(sorted(p for t, p in _SCHEMES if t == toolchain))
        raise QuantizationFailed(
            f"the toolchain {toolchain} has no static {precision} scheme", hint=f"It takes {offered}"
        )
    return _SCHEMES[toolchain, precision]


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
