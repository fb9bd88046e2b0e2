"""Variants with 16-bit layers: TI's tools read QDQ models of 8 bits only, so they import the float model beside it.

The QDQ model says which layers get 16 bits and what accuracy to expect; TI's tools calibrate those layers themselves.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from ...api.errors import ConversionFailed
from ...api.target_options.tidl import TidlOptions, check_prequantized
from ..onnx_graph import read_graph
from .fixed_point import BEFORE

FLOAT_FILE = "float.onnx"
"""In a variant's artifact: the model before QDQ nodes were inserted."""
_WIDE_TYPES = {onnx.TensorProto.INT16, onnx.TensorProto.UINT16}


def wide_outputs(model: onnx.ModelProto) -> frozenset[str]:
    """The tensors of a QDQ model that are quantized to 16 bits, by the names that they have in its nodes."""
    return frozenset(name for name, wide in _quantized(model).items() if wide)


def import_source(path: Path, options: TidlOptions) -> tuple[onnx.ModelProto, TidlOptions]:
    """The model that TI's tools are to import for a variant's, and the options that give its layers their bits.

    Raises InvalidSpec (precision options beside a QDQ model), ConversionFailed (no float model beside it).
    """
    model = read_graph(path)
    quantized = _quantized(model)
    if not any(quantized.values()):
        return model, options
    check_prequantized(options)
    source = path.with_name(FLOAT_FILE)
    if not source.is_file():
        raise ConversionFailed(
            f"the model has 16-bit QDQ nodes, which TI's tools cannot read, and there is no {FLOAT_FILE} beside it",
            hint="Quantize it again for toolchain tidl",
        )
    return read_graph(source), replace(options, given={**options.given, **_bits(quantized)})


def _bits(quantized: Mapping[str, bool]) -> dict[str, str]:
    if all(quantized.values()):
        return {"tensor-bits": "16"}
    names = (name.removesuffix(BEFORE) for name, wide in quantized.items() if wide)
    return {"output-16bit-names": ",".join(names)}


def _quantized(model: onnx.ModelProto) -> dict[str, bool]:
    """Every quantized activation, and whether it has 16 bits."""
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {
        node.input[0]: types.get(node.input[2], onnx.TensorProto.UINT8) in _WIDE_TYPES
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and len(node.input) > 2
    }
