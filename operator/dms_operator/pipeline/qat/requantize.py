"""Put Q/DQ into a stripped model again with onnxruntime's quantizer, with the learned scales in place of ranges."""

import logging
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
from onnxruntime.quantization.shape_inference import quant_pre_process

from ...api.errors import DMSError, QuantizationFailed
from ...toolchains.tidl.fixed_point import Precision, to_fixed_point
from ...toolchains.tidl.surgery import lowered
from ..calibration import Feed
from ..histogram import Range
from ..quantizer import write_qdq
from ..schemes import Overrides, Scheme
from ..session import cpu_session, run_once
from .spread import MOVERS, spread
from .strip import Encoding, Encodings, Stripped

_log = logging.getLogger(__name__)

_BEFORE_OUTPUT = "_QuantizeLinear_Input"
"""What onnxruntime's quantizer appends to the name of an output's tensor before its Q/DQ."""
_MATRIX_PRODUCTS = ("MatMul", "Gemm")
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_STORED = {
    np.dtype(np.uint8): QuantType.QUInt8,
    np.dtype(np.int8): QuantType.QInt8,
    np.dtype(np.uint16): QuantType.QUInt16,
    np.dtype(np.int16): QuantType.QInt16,
}


def requantize(stripped: Stripped, target: Path, scheme: Scheme, feeds: Iterable[Feed]) -> list[str]:
    """Write the QDQ model to `target`; `feeds` are samples for tensors that only the ONNX form has.

    Gives the names of those tensors: the exporter writes some operators in smaller ones, whose inner tensors training
    could not see. Raises QuantizationFailed when a learned encoding is not found again in what was written.
    """
    prepared = target.with_name("prepared.onnx")
    onnx.save_model(stripped.model, target.with_name("stripped.onnx"))
    try:
        quant_pre_process(target.with_name("stripped.onnx"), prepared, skip_symbolic_shape=True)
        model = onnx.shape_inference.infer_shapes(onnx.load_model(prepared))
        model = lowered(model) if scheme.power_of_two else model
        _refuse_lost(stripped.weights.keys() - {tensor.name for tensor in model.graph.initializer})
        activations = spread(model, stripped.activations)
        unseen = [name for name in _float_activations(model) if name not in activations]
        ranges = {name: _range(encoding) for name, encoding in activations.items()} | _measured(model, unseen, feeds)
        # a table of which rows are taken has its rows' grid, onto which training rounded them again
        weights = {name: encoding for name, encoding in stripped.weights.items() if name not in activations}
        overrides = _weight_overrides(weights, model, scheme)
        if scheme.power_of_two:
            onnx.save_model(_fixed_point(model, scheme, ranges, weights), target)
        else:
            _quantize(model, target, scheme, ranges, overrides, activations)
    except (DMSError, MemoryError):
        raise
    except Exception as error:
        raise QuantizationFailed(
            f"the learned scales cannot be put into the model ({type(error).__name__}: {str(error)[:300]})",
            hint="Use method: static, and report this model",
        ) from error
    found = _check(onnx.load_model(target), overrides, activations)
    trained = _multiplying(model) if scheme.power_of_two else weights.keys()
    expected = (weights.keys() & trained) | ((stripped.activations.keys() & ranges.keys()) if scheme.htp else set())
    _refuse_lost(expected - _with_moved(found, model))
    return unseen


def _fixed_point(
    model: onnx.ModelProto, scheme: Scheme, ranges: dict[str, tuple[float, float]], weights: Encodings
) -> onnx.ModelProto:
    """TIDL's own form; a range of whole codes gives its step again."""
    scales = {name: float(encoding.scale) for name, encoding in weights.items()}
    return to_fixed_point(model, ranges, Precision(scheme.activation_bits), scales)


def _multiplying(model: onnx.ModelProto) -> set[str]:
    """What convolutions and matrix products multiply by; TIDL does not quantize every other constant."""
    return {node.input[1] for node in model.graph.node if node.op_type in _MATRIX_PRODUCTS + _CONVOLUTIONS}


def _refuse_lost(lost: Set[str]) -> None:
    """Every trained weight must be found again under its name; where every operator is quantized, activations too."""
    if lost:
        raise QuantizationFailed(f"the learned scales of {', '.join(sorted(lost))[:300]} have no tensor to go to")


def _with_moved(found: set[str], model: onnx.ModelProto) -> set[str]:
    """Add tensors that are only moved to found ones: onnxruntime quantizes no input that a Reshape alone reads."""
    together = set(found)
    for node in reversed(model.graph.node):
        if node.op_type in MOVERS and together & set(node.output):
            together.add(node.input[0])
    return together


def _float_activations(model: onnx.ModelProto) -> list[str]:
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    return [value.name for value in values if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]


def _range(encoding: Encoding) -> tuple[float, float]:
    low, high = _code_range(encoding.zero_point.dtype)
    zero, scale = int(encoding.zero_point), float(encoding.scale)
    return (low - zero) * scale, (high - zero) * scale


def _code_range(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _measured(model: onnx.ModelProto, names: list[str], feeds: Iterable[Feed]) -> dict[str, tuple[float, float]]:
    """Ranges of tensors over samples."""
    if not names:
        return {}
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {value.name for value in model.graph.output}
    infos = {value.name: value for value in model.graph.value_info}
    watched.graph.output.extend(infos[name] for name in names if name not in given)
    session = cpu_session(watched.SerializeToString())
    places = [output.name for output in session.get_outputs()]
    found: dict[str, tuple[float, float]] = {}
    for feed in feeds:
        values = dict(zip(places, run_once(session, feed), strict=True))
        for name in names:
            low, high = float(values[name].min()), float(values[name].max())
            known = found.get(name, (low, high))
            found[name] = min(low, known[0]), max(high, known[1])
    return found


def _weight_overrides(weights: Encodings, model: onnx.ModelProto, scheme: Scheme) -> Overrides:
    types = {}
    for node in model.graph.node:
        for name in node.input:
            if name in weights:
                types[name] = _weight_type(node.op_type, weights[name], scheme)
    return {name: _override(weights[name], kind) for name, kind in types.items()}


def _weight_type(operator: str, encoding: Encoding, scheme: Scheme) -> QuantType:
    """Type of the stored codes: torch keeps 4-bit codes in int8."""
    narrow = scheme.weight == QuantType.QInt4 and operator not in scheme.wide_weights
    if narrow and operator in _MATRIX_PRODUCTS + _CONVOLUTIONS and encoding.zero_point.dtype == np.int8:
        return QuantType.QInt4
    return _STORED[encoding.zero_point.dtype]


def _override(encoding: Encoding, kind: QuantType) -> list[dict[str, Any]]:
    if encoding.axis is None:
        return [{"quant_type": kind, "scale": encoding.scale, "zero_point": encoding.zero_point}]
    return [
        {"quant_type": kind, "axis": encoding.axis, "scale": scale, "zero_point": zero}
        for scale, zero in zip(encoding.scale, encoding.zero_point, strict=True)
    ]


def _quantize(
    model: onnx.ModelProto,
    target: Path,
    scheme: Scheme,
    ranges: dict[str, Range],
    weights: Overrides,
    activations: Encodings,
) -> None:
    options: dict[str, Any] = {"ActivationSymmetric": scheme.symmetric_activations, "WeightSymmetric": True}
    operators, kept = None, weights
    if scheme.htp:
        config = get_qnn_qdq_config(
            model,
            None,
            activation_type=scheme.activation,
            weight_type=scheme.weight,
            per_channel=scheme.per_channel,
            init_overrides=weights,
        )
        options, operators = config.extra_options, config.op_types_to_quantize
        kept = options["TensorQuantOverrides"]
    learned = {name: _override(encoding, scheme.activation) for name, encoding in activations.items()}
    options["TensorQuantOverrides"] = {**kept, **learned}
    write_qdq(model, target, scheme, ranges, options, operators)


def _check(model: onnx.ModelProto, weights: Overrides, activations: Encodings) -> set[str]:
    """Tensors whose Q/DQ in the file carries the learned numbers; QuantizationFailed where it carries others."""
    found = set()
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        name = node.input[0].removesuffix("_quantized").removesuffix(_BEFORE_OUTPUT)
        if node.op_type == "DequantizeLinear" and name in weights:
            _same(name, constants[node.input[1]], np.hstack([row["scale"] for row in weights[name]]))
        elif node.op_type == "QuantizeLinear" and name in activations:
            _same(name, constants[node.input[1]], activations[name].scale)
            _same(name, constants[node.input[2]], activations[name].zero_point)
        else:
            continue
        found.add(name)
    return found


def _same(name: str, written: onnx.TensorProto, learned: NDArray[Any]) -> None:
    if not np.array_equal(onnx.numpy_helper.to_array(written).ravel(), np.ravel(learned)):
        raise QuantizationFailed(f"onnxruntime's quantizer did not take over the learned scale of {name}")
