"""ONNX models of a few kilobytes: which colour is brightest? Right on `tiny_dataset` without any training."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

INPUT_NAME = "frames"
INPUT_SHAPE = (1, 3, 16, 16)
CLASSES = 3
_CHANNELS = 8
_OPSET = 20
_IR_VERSION = 10

Weights = dict[str, NDArray[Any]]
Batch = int | str


def tiny_classifier(path: Path) -> Path:
    """Write a conv net, `frames` [1, 3, 16, 16] to `logits` [1, 3], that quantizes and compiles whole."""
    return _write(path, _colour_nodes(), _colour_weights())


def layernorm_net(path: Path) -> Path:
    """Write a conv net that ends in LayerNormalization and a linear layer.

    With per-channel int8 weights its scale becomes signed int8, and the HTP leaves the node to the CPU.
    """
    norm_inputs = ["features", "norm_scale", "norm_bias"]
    nodes = [
        *_feature_nodes(),
        helper.make_node("Flatten", ["pooled"], ["features"], "flatten"),
        helper.make_node("LayerNormalization", norm_inputs, ["normal"], "norm", axis=-1),
        helper.make_node("Gemm", ["normal", "head_weight", "head_bias"], ["logits"], "head", transB=1),
    ]
    scale = np.linspace(0.5, 1.5, _CHANNELS, dtype=np.float32)
    scale[:CLASSES] = 1.0
    norm: Weights = {"norm_scale": scale, "norm_bias": np.zeros(_CHANNELS, np.float32)}
    return _write(path, nodes, _colour_weights() | norm)


def with_unsupported_op(path: Path) -> Path:
    """Write a conv net with two Erf nodes, which the HTP refuses: it shatters into three partitions."""
    return _write(path, _colour_nodes(activation="Erf"), _colour_weights())


def with_uncompilable_op(path: Path) -> Path:
    """Write a conv net with two Mish nodes: the whole compilation fails (INVALID_GRAPH) and names no node.

    Mish is an ONNX function, which ONNX Runtime inlines after the QNN provider has claimed its neighbours.
    """
    return _write(path, _colour_nodes(activation="Mish"), _colour_weights())


def with_dynamic_axes(path: Path) -> Path:
    """Write the tiny classifier with a symbolic batch axis `batch`."""
    return _write(path, _colour_nodes(), _colour_weights(), batch="batch")


def with_nan_weight(path: Path) -> Path:
    """Write the tiny classifier with one NaN in the weight of `conv2`; as a file it is valid ONNX."""
    weights = _colour_weights()
    weights["conv2_weight"][1, 2, 0, 0] = np.nan
    return _write(path, _colour_nodes(), weights)


def _feature_nodes(activation: str = "Relu") -> list[onnx.NodeProto]:
    return [
        helper.make_node("Conv", ["frames", "conv1_weight"], ["conv1_out"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node(activation, ["conv1_out"], ["active1_out"], "activation1"),
        helper.make_node("Conv", ["active1_out", "conv2_weight"], ["conv2_out"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node(activation, ["conv2_out"], ["active2_out"], "activation2"),
        helper.make_node("GlobalAveragePool", ["active2_out"], ["pooled"], "pool"),
    ]


def _colour_nodes(activation: str = "Relu") -> list[onnx.NodeProto]:
    return [
        *_feature_nodes(activation),
        helper.make_node("Flatten", ["pooled"], ["features"], "flatten"),
        helper.make_node("Gemm", ["features", "head_weight", "head_bias"], ["logits"], "head", transB=1),
    ]


def _colour_weights() -> Weights:
    """Channels 0 to 2 carry the three colours through; the others are seeded noise that the head ignores."""
    rng = np.random.default_rng(0)
    conv1 = rng.normal(0, 0.1, (_CHANNELS, 3, 3, 3)).astype(np.float32)
    conv2 = rng.normal(0, 0.1, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32)
    head = np.zeros((CLASSES, _CHANNELS), np.float32)
    for colour in range(CLASSES):
        conv1[colour], conv2[colour] = 0.0, 0.0
        conv1[colour, colour] = conv2[colour, colour] = 1 / 9
        head[colour, colour] = 4.0
    return {
        "conv1_weight": conv1,
        "conv2_weight": conv2,
        "head_weight": head,
        "head_bias": np.zeros(CLASSES, np.float32),
    }


def _write(path: Path, nodes: list[onnx.NodeProto], weights: Weights, batch: Batch = 1) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [batch, *INPUT_SHAPE[1:]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION), path)
    return path
