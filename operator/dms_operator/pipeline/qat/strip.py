"""From a converted program's ONNX form to a float model whose weights lie on their grids, and every tensor's encoding.

torch writes 4-bit codes into int8 initializers, transposes linear weights at run time, and leaves bias and pass-through
tensors without scales: no compiler takes that whole. So Q/DQ is taken out here, and put in again by onnxruntime's
quantizer. Encodings are found by topology: whatever a Q/DQ pair sits on is what the encoding belongs to.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ...api.errors import QuantizationFailed


@dataclass(frozen=True)
class Encoding:
    """How one tensor is rounded: value = (code - zero_point) * scale."""

    scale: NDArray[np.float32]
    """One number, or one per channel."""
    zero_point: NDArray[Any]
    """Of the stored type, as many as scales."""
    axis: int | None = None
    """Channel axis; None when per tensor."""

    def dequantize(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Real values of codes."""
        shape = [1] * codes.ndim
        if self.axis is not None:
            shape[self.axis] = -1
        scale, zero = self.scale.reshape(shape or ()), self.zero_point.astype(np.int64).reshape(shape or ())
        return ((codes.astype(np.int64) - zero) * scale.astype(np.float64)).astype(np.float32)


Encodings = dict[str, Encoding]


@dataclass(frozen=True)
class Stripped:
    """A float model and the encodings of its tensors by name."""

    model: onnx.ModelProto
    weights: Encodings
    """Of initializers; their values are exact multiples of the scale."""
    activations: Encodings
    """Of inputs and of what nodes give."""


def strip(model: onnx.ModelProto, outputs: Sequence[str]) -> Stripped:
    """Take Q/DQ out of a model in place, and name its outputs. Raises QuantizationFailed where a DQ has no Q."""
    return _Stripper(model, outputs).run()


class _Stripper:
    def __init__(self, model: onnx.ModelProto, outputs: Sequence[str]) -> None:
        self._model, self._graph, self._outputs = model, model.graph, outputs
        self._constants = {tensor.name: tensor for tensor in self._graph.initializer}
        self._producers = {name: node for node in self._graph.node for name in node.output}
        self._weights: Encodings = {}
        self._activations: Encodings = {}
        self._renamed: dict[str, str] = {}
        """What reads the first name shall read the second."""

    def run(self) -> Stripped:
        outputs = {value.name for value in self._graph.output}
        for node in list(self._graph.node):
            if node.op_type == "DequantizeLinear":
                self._take_out(node, outputs)
        kept = [node for node in self._graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
        del self._graph.node[:]
        self._graph.node.extend(kept)
        self._rename(self._final)
        self._name_outputs()
        self._fold_transposes()
        self._drop_unused()
        return Stripped(self._model, self._weights, self._activations)

    def _take_out(self, node: onnx.NodeProto, outputs: set[str]) -> None:
        source, target = node.input[0], node.output[0]
        encoding = self._encoding(node)
        if source in self._constants:
            values = encoding.dequantize(numpy_helper.to_array(self._constants[source]))
            self._graph.initializer.append(numpy_helper.from_array(values, target))
            self._constants[target] = self._graph.initializer[-1]
            self._weights[target] = encoding
            return
        quantize = self._producers.get(source)
        if quantize is None or quantize.op_type != "QuantizeLinear":
            raise QuantizationFailed(f"the trained model dequantizes {source}, which nothing quantized")
        name = quantize.input[0]
        if target in outputs:
            self._renamed[name] = target
        else:
            self._renamed[target] = name
        self._activations[name] = encoding

    def _encoding(self, node: onnx.NodeProto) -> Encoding:
        scale, zero = (numpy_helper.to_array(self._constants[name]) for name in node.input[1:3])
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        return Encoding(scale.astype(np.float32), zero, axis if scale.ndim else None)

    def _rename(self, new: Callable[[str], str]) -> None:
        for node in self._graph.node:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    names[place] = new(name)
        self._activations = {new(name): encoding for name, encoding in self._activations.items()}

    def _name_outputs(self) -> None:
        """Another tensor that has an output's name by chance gives way."""
        names = {value.name: name for value, name in zip(self._graph.output, self._outputs, strict=True)}
        taken = {name: f"{name}_inside" for name in self._outputs if name not in names}
        inputs = {value.name for value in self._graph.input}
        self._rename(lambda name: names.get(name, name if name in inputs else taken.get(name, name)))
        for value in self._graph.output:
            value.name = names[value.name]

    def _final(self, name: str) -> str:
        while name in self._renamed:
            name = self._renamed[name]
        return name

    def _fold_transposes(self) -> None:
        for node in list(self._graph.node):
            if node.op_type != "Transpose" or node.input[0] not in self._weights:
                continue
            values = numpy_helper.to_array(self._constants[node.input[0]])
            order = _permutation(node, values.ndim)
            encoding = self._weights[node.input[0]]
            axis = None if encoding.axis is None else order.index(encoding.axis % values.ndim)
            self._weights[node.output[0]] = replace(encoding, axis=axis)
            self._graph.initializer.append(numpy_helper.from_array(values.transpose(order), node.output[0]))
            self._graph.node.remove(node)

    def _drop_unused(self) -> None:
        used = {name for node in self._graph.node for name in _inputs(node)}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
        del self._graph.value_info[:]  # some of it tells of integer tensors that are gone
        self._weights = {name: encoding for name, encoding in self._weights.items() if name in used}


def _permutation(node: onnx.NodeProto, rank: int) -> list[int]:
    given = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"]
    return given[0] if given else list(range(rank))[::-1]


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _inputs(inner)
