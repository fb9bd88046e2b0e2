"""Powers of two: the scales that TDA4VM's matrix unit works with, chosen as TI's import tool does.

Source: `TIDL_GetMaxQuantScale` in TI's import tool (quantizationStyle 3, power-of-two): the largest magnitude is
rounded up to a power of two 2^e, and the scale is 2^e / 2^(bits-1) for signed values, 2^e / 2^bits for unsigned ones.
"""

from collections import Counter
from math import ceil, frexp, log2

import onnx
from onnx import numpy_helper

from ...api.errors import ConversionFailed
from ...api.target_options.tidl_socs import Soc

SMALLEST_MAGNITUDE = 1e-15
"""Ranges below this are zero for TI's tool (TIDL_MINIMUM_QUANTIZATION_RANGE)."""


def scale_for(magnitude: float, bits: int, *, signed: bool) -> float:
    """The power-of-two step for values up to `magnitude` in absolute value; 1 for a tensor of zeros."""
    if magnitude < SMALLEST_MAGNITUDE:
        return 1.0
    return 2.0 ** (ceil(log2(magnitude)) - (bits - 1 if signed else bits))


def is_power_of_two(value: float) -> bool:
    """Whether a positive number is 2^n exactly."""
    return value > 0 and frexp(value)[0] == 0.5


def check_scales(model: onnx.ModelProto, soc: Soc) -> None:
    """Refuse a QDQ model whose scales a chip without zero points cannot use. Raises ConversionFailed."""
    if soc.asymmetric:
        return
    problems = scale_problems(model)
    if problems:
        named = "; ".join(f"{count} {what}" for what, count in problems.items())
        raise ConversionFailed(
            f"the QDQ model does not fit {soc.title}, whose matrix unit takes one power-of-two scale per tensor and no "
            f"zero point: {named}",
            hint="Quantize for toolchain tidl again (its scheme is power-of-two), or convert the float model with "
            "calibration samples",
        )


def scale_problems(model: onnx.ModelProto) -> dict[str, int]:
    """What of a QDQ model's scales is not symmetric, per tensor and a power of two, with counts; biases aside."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found: Counter[str] = Counter()
    for node in model.graph.node:
        scale = constants.get(node.input[1]) if node.op_type in ("QuantizeLinear", "DequantizeLinear") else None
        if scale is None or _is_bias(node, constants):
            continue
        values = numpy_helper.to_array(scale).reshape(-1)
        if values.size > 1:
            found["scales per channel"] += 1
        elif not is_power_of_two(float(values[0])):
            found["scales that are no power of two"] += 1
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and numpy_helper.to_array(zero).any():
            found["zero points other than 0"] += 1
    return dict(found)


def _is_bias(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    tensor = constants.get(node.input[0])
    return tensor is not None and tensor.data_type == onnx.TensorProto.INT32
