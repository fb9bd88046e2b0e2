"""ONNX files of a few hundred bytes that are valid, and ask for endless time, memory, or other files."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("bomb", 1)]
_IR_VERSION = 10


def keeping_a_weight_in(path: Path, location: str) -> Path:
    """Write a net whose weight lies in another file, as the format allows."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    return _write(path, [helper.make_node("Add", ["x", "w"], ["y"])], [weight])


def expanding(path: Path, *shape: int) -> Path:
    """Write a net that expands one number to this shape."""
    nodes = [helper.make_node("Expand", ["one", "shape"], ["large"]), *_summed("large")]
    return _write(path, nodes, _constants(one=np.ones(1, np.float32), shape=np.array(shape, np.int64)))


def padding(path: Path, elements: int) -> Path:
    """Write a net that pads its input by this many elements."""
    nodes = [helper.make_node("Pad", ["x", "pads"], ["large"]), *_summed("large")]
    return _write(path, nodes, _constants(pads=np.array([0, 0, 0, elements], np.int64)))


def taking(path: Path, *shape: int) -> Path:
    """Write a net with an input of this shape."""
    return _write(path, [helper.make_node("Relu", ["x"], ["y"])], shape=shape)


def looping(path: Path) -> Path:
    """Write a net that loops 2^62 times."""
    scalars = [helper.make_tensor_value_info(*each, []) for each in (("i", TensorProto.INT64), ("c", TensorProto.BOOL))]
    goes_on = helper.make_tensor_value_info("goes_on", TensorProto.BOOL, [])
    nodes = [helper.make_node("Identity", ["c"], ["goes_on"]), helper.make_node("Identity", ["v"], ["same"])]
    body = helper.make_graph(nodes, "body", [*scalars, _tensor("v")], [goes_on, _tensor("same")])
    return _write(
        path,
        [helper.make_node("Loop", ["often", "yes", "x"], ["y"], body=body)],
        _constants(often=np.array(2**62, np.int64), yes=np.array(True)),
    )


def with_functions_of_functions(path: Path, levels: int = 9) -> Path:
    """Write a net whose functions call ten others each: 10^levels nodes."""
    functions = []
    for level in range(levels):
        domain, called = ("", "Relu") if level == 0 else ("bomb", f"F{level - 1}")
        names = ["a", *(f"t{index}" for index in range(9)), "b"]
        nodes = [
            helper.make_node(called, [before], [after], domain=domain) for before, after in itertools.pairwise(names)
        ]
        functions.append(helper.make_function("bomb", f"F{level}", ["a"], ["b"], nodes, _OPSETS))
    top = helper.make_node(f"F{levels - 1}", ["x"], ["y"], domain="bomb")
    return _write(path, [top], functions=functions)


def with_nan_attribute(path: Path) -> Path:
    """Write a net whose LeakyRelu has the slope NaN."""
    return _write(path, [helper.make_node("LeakyRelu", ["x"], ["y"], alpha=float("nan"))])


def with_a_cycle(path: Path) -> Path:
    """Write a net whose nodes wait for each other."""
    edges = [(["x", "b"], "a"), (["a", "a"], "b"), (["b", "b"], "y")]
    return _write(path, [helper.make_node("Add", inputs, [output]) for inputs, output in edges])


def with_foreign_operator(path: Path) -> Path:
    """Write a net with an operator of a domain that nobody knows."""
    return _write(path, [helper.make_node("Anything", ["x"], ["y"], domain="bomb")])


def named(path: Path, name: str) -> Path:
    """Write a net whose input has this name."""
    return _write(path, [helper.make_node("Relu", [name], ["y"])], name=name)


def nested(path: Path, levels: int) -> Path:
    """Write a file of subgraphs within subgraphs, field by field: the library would not."""
    graph = b""
    for _ in range(levels):
        attribute = _field(1, b"then_branch") + _field(6, graph) + b"\xa0\x01\x05"
        graph = _field(1, _field(4, b"If") + _field(5, attribute))
    path.write_bytes(b"\x08\x0a" + _field(7, graph) + _field(8, b"\x10\x14"))
    return path


def with_empty_nodes(path: Path, count: int) -> Path:
    """Write a file in which a node takes two bytes, and a hundred times that in memory."""
    _write(path, [helper.make_node("Relu", ["x"], ["y"])])
    with path.open("ab") as file:
        file.write(_field(7, b"\x0a\x00" * count))
    return path


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + _varint(high) if high else bytes([low])


def _summed(name: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("ReduceSum", [name], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]


def _constants(**arrays: np.ndarray) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(value, name) for name, value in arrays.items()]


def _tensor(name: str, shape: Sequence[int] = (1, 4)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    name: str = "x",
    shape: Sequence[int] = (1, 4),
    functions: Sequence[onnx.FunctionProto] = (),
) -> Path:
    graph = helper.make_graph(nodes, "net", [_tensor(name, shape)], [_tensor("y", shape)], list(constants))
    model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=_IR_VERSION, functions=list(functions))
    # not onnx.save, which would look for the weights that lie elsewhere
    path.write_bytes(model.SerializeToString())
    return path
