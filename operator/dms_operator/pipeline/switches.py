"""A float model with a switch on each quantized tensor: 1 = rounded as the quantized model rounds it, 0 = exact.

One session then answers for every combination, where quantizing, writing and loading a model for each takes seconds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..toolchains.onnx_graph import reads
from .encodings import Encoding
from .feeds import Samples
from .linear_layers import Array
from .machine import usable_cores
from .session import cpu_session, run_once

_TYPES = {
    (8, False): (TensorProto.UINT8, np.uint8),
    (8, True): (TensorProto.INT8, np.int8),
}


class Switched:
    """Runs the model with any set of tensors rounded."""

    def __init__(
        self,
        model: onnx.ModelProto,
        activations: Mapping[str, Encoding],
        weights: Mapping[str, Array],
        groups: Sequence[set[str]],
    ) -> None:
        """`activations` are 8 bits wide; `weights` are the rounded values; each group of tensors has one switch."""
        switched = onnx.ModelProto()
        switched.CopyFrom(model)
        for number, group in enumerate(groups):
            switch = f"switch_{number}"
            switched.graph.input.append(helper.make_tensor_value_info(switch, TensorProto.FLOAT, []))
            for tensor in sorted(group & activations.keys()):
                _insert(switched.graph, tensor, switch, _rounding_nodes(switched.graph, tensor, activations[tensor]))
            for tensor in sorted(group & weights.keys()):
                _insert(switched.graph, tensor, switch, _constant(switched.graph, tensor, weights[tensor]))
        _sort(switched.graph)
        self._session = cpu_session(switched.SerializeToString(), threads=1)
        self._switches = [f"switch_{number}" for number in range(len(groups))]
        self._inputs = [value.name for value in model.graph.input]
        self._first = [model.graph.output[0].name]

    def first_outputs(self, samples: Samples, rounded: Iterable[int]) -> Array:
        """The first output [N, ...] with the switches of these numbers on."""
        values = [value for [value] in self._run(samples, set(rounded), self._first)]
        return np.stack([value[0] if value.ndim > 1 and value.shape[0] == 1 else value for value in values])

    def outputs(self, samples: Samples) -> list[list[Array]]:
        """All outputs of each sample with all switches off."""
        return self._run(samples, (), None)

    def _run(self, samples: Samples, on: Collection[int], names: list[str] | None) -> list[list[Array]]:
        """One sample per core: small models gain nothing from many threads for one."""
        switches = {name: np.asarray(number in on, np.float32) for number, name in enumerate(self._switches)}

        def outputs(number: int) -> list[Array]:
            sample = samples[number]
            return run_once(self._session, {name: sample[name] for name in self._inputs} | switches, names)

        with ThreadPoolExecutor(usable_cores()) as pool:
            return list(pool.map(outputs, range(len(samples))))


def _insert(graph: onnx.GraphProto, tensor: str, switch: str, rounded: str) -> None:
    """Let every reader of a tensor read `tensor + switch * (rounded - tensor)`."""
    mixed, own = f"{tensor}_switched", {f"{tensor}_codes", rounded}
    for node in graph.node:
        if not own & set(node.output):
            node.input[:] = [mixed if name == tensor else name for name in node.input]
    if any(value.name == tensor for value in graph.output):
        # the graph's output keeps its name: the tensor before rounding gets another
        _rename(graph, tensor, f"{tensor}_exact")
        tensor, mixed_name = f"{tensor}_exact", tensor
        _rename(graph, mixed, mixed_name)
        mixed = mixed_name
    graph.node.extend(
        [
            helper.make_node("Sub", [rounded, tensor], [f"{mixed}_error"]),
            helper.make_node("Mul", [f"{mixed}_error", switch], [f"{mixed}_share"]),
            helper.make_node("Add", [tensor, f"{mixed}_share"], [mixed]),
        ]
    )


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _rounding_nodes(graph: onnx.GraphProto, tensor: str, encoding: Encoding) -> str:
    kind, dtype = _TYPES[encoding.bits, encoding.signed]
    scale, zero = f"{tensor}_switch_scale", f"{tensor}_switch_zero"
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.asarray(encoding.scale, np.float32).reshape(()), scale),
            helper.make_tensor(zero, kind, [], [int(dtype(encoding.zero_point.item()))]),
        ]
    )
    codes, rounded = f"{tensor}_codes", f"{tensor}_rounded"
    graph.node.extend(
        [
            helper.make_node("QuantizeLinear", [tensor, scale, zero], [codes]),
            helper.make_node("DequantizeLinear", [codes, scale, zero], [rounded]),
        ]
    )
    return rounded


def _constant(graph: onnx.GraphProto, tensor: str, value: Array) -> str:
    name = f"{tensor}_rounded"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    return name


def _sort(graph: onnx.GraphProto) -> None:
    """Put the nodes into an order in which each comes after what it reads."""
    ready = {*(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    waiting, ordered = list(graph.node), []
    while waiting:
        now = [node for node in waiting if ready.issuperset(reads(node))]
        assert now, "the graph has a cycle"
        placed = {id(node) for node in now}
        for node in now:
            ready.update(node.output)
        ordered.extend(now)
        waiting = [node for node in waiting if id(node) not in placed]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)
