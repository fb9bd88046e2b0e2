"""Where the HTP's sums are coarser than ONNX Runtime's: what makes logits on the simulator differ from the host's.

A layer sums codes in units of input scale times weight scale. ONNX Runtime keeps all of the sum; the HTP drops the low
8 bits of it when activations are 16 bits wide, and rounds the bias in such units too (docs/quantization.md shows how
this was measured). Nothing of that shows while a unit is far below a step of the output. Few bits of weight, or
channels of very different range, make units large.
"""

import numpy as np
import onnx

COARSE = 0.25
"""Accumulator units per output step above which outputs on the HTP differ visibly.

Measured on layers of the skewed example net: 0.03 differs by 1 step of 65 536, 0.5 by 144 of them (mean).
"""


def coarse_layers(model: onnx.ModelProto) -> dict[str, float]:
    """Layers of a QDQ model whose accumulator unit is above COARSE output steps, and the unit in such steps."""
    producers = {name: node for node in model.graph.node for name in node.output}
    readers = {name: node for node in model.graph.node for name in node.input}
    scales = {tensor.name: tensor for tensor in model.graph.initializer}

    def scale_of(node: onnx.NodeProto | None) -> float | None:
        if node is None or node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            return None
        return float(np.max(onnx.numpy_helper.to_array(scales[node.input[1]])))

    found = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        given = [scale_of(producers.get(name)) for name in node.input[:2]]
        step = scale_of(readers.get(node.output[0]))
        if step and all(given) and producers[node.input[1]].input[0] in scales:
            unit = float(np.prod([scale or 0.0 for scale in given])) / step
            if unit > COARSE:
                found[node.name] = unit
    return found
