"""Give the tensors around trained ones their encodings: what only moves or clips values stays on the same grid."""

import onnx

from .strip import Encodings

MOVERS = frozenset(
    {
        "Reshape",
        "Transpose",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Expand",
        "Slice",
        "Gather",
        "Split",
        "MaxPool",
        "Identity",
        "Dropout",
    }
)
"""ONNX operators whose outputs are some of their first input's values."""
CLIPPERS = frozenset({"Relu", "Clip"})
"""ONNX operators that only clip: their input may be rounded on their output's grid."""


def spread(model: onnx.ModelProto, known: Encodings) -> Encodings:
    """The encodings of all activations that follow from the known ones, which stay as they are."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ends = {value.name for value in model.graph.output}
    found = dict(known)
    for node in model.graph.node:
        if node.op_type in MOVERS and node.input[0] in found:
            for name in node.output:
                found.setdefault(name, found[node.input[0]])
    for node in reversed(model.graph.node):
        source = node.input[0] if node.input else ""
        alone = len(readers.get(source, [])) == 1 and source not in ends
        if node.op_type in MOVERS | CLIPPERS and alone and node.output[0] in found:
            found.setdefault(source, found[node.output[0]])
    return found
