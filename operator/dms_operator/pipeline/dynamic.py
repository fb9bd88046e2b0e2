"""Dynamic quantization, a host baseline: int8 weights, and activations whose ranges are taken at run time."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from .lean_import import without_torch
from .quantizer import failures

with without_torch():
    from onnxruntime.quantization.shape_inference import quant_pre_process

_GATES_AXIS = 1
"""Weights of a GRU are [directions, 3 * hidden, inputs]: each row of a gate has a scale."""
_GRU_WEIGHTS = (1, 2)
"""Places of a GRU's input and recurrent weights among its inputs (ONNX operator GRU)."""


def to_dynamic_int8(source: Path, target: Path) -> list[str]:
    """Quantize convolutions, matrix products and LSTMs; of GRUs the weights alone. Gives notes for the user.

    Raises QuantizationFailed.
    """
    with failures("dynamically quantized"):
        # exporters reorder the gates of recurrent weights in nodes: folded, they are weights that can be quantized
        folded = target.with_name("folded.onnx")
        quant_pre_process(source, folded, skip_symbolic_shape=True)
        quantize_dynamic(folded, target, per_channel=True, weight_type=QuantType.QInt8)
        model = onnx.load_model(target)
        count = _quantize_gru_weights(model.graph)
        if count:
            onnx.save_model(model, target)
    notes = ["runs on CPUs only: NPUs do not take dynamic quantization"]
    return [*notes, f"{count} GRU computes in float from int8 weights"] if count else notes


def _quantize_gru_weights(graph: onnx.GraphProto) -> int:
    """ONNX Runtime has no dynamically quantized GRU: keep its weights in int8, and let it read them as float."""
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    nodes = [node for node in graph.node if node.op_type == "GRU"]
    done: dict[str, str] = {}
    for node in nodes:
        for place in _GRU_WEIGHTS:
            name = node.input[place]
            if name in weights and name not in done:
                done[name] = _dequantized(graph, weights[name])
            node.input[place] = done.get(name, name)
    still_read = {name for node in graph.node for name in node.input}
    for tensor in [weights[name] for name in done if name not in still_read]:
        graph.initializer.remove(tensor)
    return len(nodes) if done else 0


def _dequantized(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> str:
    """The name of the int8 form of a weight, read as float."""
    weight = numpy_helper.to_array(tensor)
    largest = np.abs(weight).max(axis=(0, 2))
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    codes = np.clip(np.round(weight / scale[None, :, None]), -127, 127).astype(np.int8)
    names = [f"{tensor.name}_{part}" for part in ("quantized", "scale", "dequantized")]
    graph.initializer.extend([numpy_helper.from_array(codes, names[0]), numpy_helper.from_array(scale, names[1])])
    graph.node.insert(0, helper.make_node("DequantizeLinear", names[:2], names[2:], axis=_GATES_AXIS))
    return names[2]
