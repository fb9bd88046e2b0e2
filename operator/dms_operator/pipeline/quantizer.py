"""Make quantized and half-precision ONNX from float ONNX, with onnxruntime's quantizer."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

from ..api.errors import DMSError, QuantizationFailed
from ..toolchains.tidl.fixed_point import Precision, to_fixed_point
from ..toolchains.tidl.surgery import lowered
from .histogram import Range
from .lean_import import without_torch
from .memory import give_back_freed
from .schemes import Overrides, Scheme

with without_torch():
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config, qnn_preprocess_model
    from onnxruntime.quantization.shape_inference import quant_pre_process


def to_fp16(source: Path, target: Path) -> None:
    """Cast weights and arithmetic to float16; inputs and outputs stay float32. Raises QuantizationFailed."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with failures("cast to float16"):
        onnx.save_model(convert_float_to_float16(onnx.load_model(source), keep_io_types=True), target)


def prepare(source: Path, target: Path, scheme: Scheme) -> Path:
    """Infer shapes, fold batch norms, and write the model as the scheme's toolchain wants it.

    For the HTP, Gelu and LayerNormalization written out in small nodes are fused; for TIDL the model is rewritten for
    opset 19. Gives `target`. Raises QuantizationFailed, ConversionFailed.
    """
    with failures("prepared for quantization"):
        if scheme.htp:
            model, fused = onnx.load_model(source), target.with_name("fused.onnx")
            del model.metadata_props[:]  # qnn_preprocess_model of onnxruntime 1.32 fails on any
            if qnn_preprocess_model(model, fused, fuse_layernorm=True, exclude_initializer_from_input=True):
                source = fused
        quant_pre_process(source, target, skip_symbolic_shape=True)
        if scheme.power_of_two:
            onnx.save_model(lowered(onnx.load_model(target)), target)
    return target


def quantize(prepared: Path, target: Path, scheme: Scheme, ranges: dict[str, Range], overrides: Overrides) -> None:
    """Put Q/DQ around every operator that the scheme quantizes. Raises QuantizationFailed.

    `ranges` has every float activation; `overrides` say what other type or scale a tensor gets.
    """
    with failures("quantized"):
        if scheme.power_of_two:
            onnx.save_model(to_fixed_point(onnx.load_model(prepared), ranges, _precision(scheme, overrides)), target)
            return
        _quantize(prepared, target, scheme, ranges, overrides)


def _quantize(prepared: Path, target: Path, scheme: Scheme, ranges: dict[str, Range], overrides: Overrides) -> None:
    options: dict[str, Any] = {
        "ActivationSymmetric": scheme.symmetric_activations,
        "WeightSymmetric": True,
        "TensorQuantOverrides": overrides,
    }
    operators = None
    if scheme.htp:
        # No reader: the ranges are ready, and the config is only asked for the HTP's rules.
        config = get_qnn_qdq_config(
            _without_weights(prepared),
            None,
            activation_type=scheme.activation,
            activation_symmetric=scheme.symmetric_activations,
            weight_type=scheme.weight,
            weight_symmetric=True,
            per_channel=scheme.per_channel,
            init_overrides=overrides,
            add_qtype_converts=True,
        )
        options, operators = config.extra_options, config.op_types_to_quantize
    give_back_freed()
    write_qdq(prepared, target, scheme, ranges, options, operators)


def _without_weights(path: Path) -> onnx.ModelProto:
    """The model with no more of its weights than name, type and shape, which is all that the HTP's rules look at."""
    model = onnx.load_model(path)
    for weight in model.graph.initializer:
        weight.ClearField("raw_data")
    return model


def write_qdq(
    model: Path | onnx.ModelProto,
    target: Path,
    scheme: Scheme,
    ranges: dict[str, Range],
    options: dict[str, Any],
    operators: list[str] | None,
) -> None:
    """Run onnxruntime's quantizer on ready ranges; `options` are its extra options, `operators` the types it takes.

    Of a model that is not a file it makes two more copies.
    """
    quantize_static(
        model,
        target,
        None,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=operators,
        per_channel=scheme.per_channel,
        activation_type=scheme.activation,
        weight_type=scheme.weight,
        calibrate_method=CalibrationMethod.MinMax,
        calibration_cache_path=_range_file(ranges, target.with_name("ranges.json")),
        extra_options=options,
    )


def _precision(scheme: Scheme, overrides: Overrides) -> Precision:
    """What the scheme and its overrides (tensors that get 16 bits) are for TIDL."""
    wide = (name for name, [override] in overrides.items() if override.get("quant_type") == QuantType.QInt16)
    return Precision(scheme.activation_bits, frozenset(wide))


def _range_file(ranges: dict[str, Range], path: Path) -> Path:
    data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, data), path)
    return path


@contextlib.contextmanager
def failures(what: str) -> Iterator[None]:
    """Name failures: onnxruntime's tools raise whatever they meet, and log advice that does not apply here."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    except (MemoryError, DMSError):
        raise
    except Exception as error:
        raise QuantizationFailed(
            f"the model cannot be {what} ({type(error).__name__}: {str(error)[:300]})",
            hint="Try another precision or method, and report this model",
        ) from error
    finally:
        logging.disable(previous)
