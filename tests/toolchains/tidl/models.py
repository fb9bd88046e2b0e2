"""Small models for TIDL: power-of-two QDQ, and what its tables refuse."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from dms_operator.toolchains.tidl.fixed_point import Precision, Range, to_fixed_point
from dms_operator.toolchains.tidl.surgery import lowered
from toolchains.qdq import samples

Samples = Sequence[dict[str, NDArray[Any]]]


def ranges_of(path: Path, feeds: Samples | None = None) -> dict[str, Range]:
    """The lowest and highest value of every float tensor over some samples."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(value for value in model.graph.value_info if value.name not in known)
    names = [value.name for value in model.graph.output]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: dict[str, Range] = {}
    for feed in feeds or samples(8):
        for name, value in (feed | dict(zip(names, session.run(names, feed), strict=True))).items():
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return found


def fixed_point(source: Path, target: Path, precision: Precision | None = None, feeds: Samples | None = None) -> Path:
    """Write a float model as TIDL would compute it."""
    ready = lowered(onnx.load(source))
    prepared = target.with_suffix(".lowered.onnx")
    onnx.save(ready, prepared)
    onnx.save(to_fixed_point(ready, ranges_of(prepared, feeds), precision), target)
    return target


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    shapes: dict[str, Sequence[int]],
    outputs: Sequence[str],
    weights: Mapping[str, ArrayLike] | None = None,
    opset: int = 19,
) -> onnx.ModelProto:
    """A float model from nodes; `shapes` are those of its inputs."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), [output], f"{output}_node", **attributes)


def written_out_layer_norm(axis: int = -1) -> onnx.ModelProto:
    """ReduceMean - Sub - Pow - ReduceMean - Add - Sqrt - Div over [1, 4, 8]."""
    nodes = [
        node("ReduceMean", ["x"], "mean", axes=[axis], keepdims=1),
        node("Sub", ["x", "mean"], "centred"),
        node("Pow", ["centred", "two"], "square"),
        node("ReduceMean", ["square"], "variance", axes=[axis], keepdims=1),
        node("Add", ["variance", "epsilon"], "shifted"),
        node("Sqrt", ["shifted"], "root"),
        node("Div", ["centred", "root"], "y"),
    ]
    weights = {"two": np.float32(2), "epsilon": np.float32(1e-5)}
    return graph_of(nodes, {"x": [1, 4, 8]}, ["y"], weights, opset=17)
