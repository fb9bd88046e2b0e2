"""Parts of a graph, and the places where it can be cut: what is known there is enough to run the rest."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from ..toolchains.onnx_graph import reads

Work = Mapping[str, float]
"""Share of a model's cost by node name."""


@dataclass(frozen=True)
class Cut:
    """A place in the graph's order of nodes."""

    position: int
    """Nodes before it."""
    kept: tuple[str, ...]
    """The activations that nodes behind it read from before it, graph inputs aside; none at the beginning."""


def part(model: onnx.ModelProto, outputs: Collection[str], given: Collection[str] = ()) -> onnx.ModelProto:
    """The nodes that `outputs` depend on where the activations `given` are inputs, with their weights alone.

    Every given activation needs a type in the model; inputs that are not read are left out.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    todo, seen = list(outputs), set(outputs)
    while todo:
        name = todo.pop()
        new = set() if name in given or name not in makers else set(reads(makers[name])) - seen
        seen |= new
        todo.extend(new)
    found = onnx.ModelProto()
    found.CopyFrom(onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import))
    found.functions.extend(model.functions)
    found.graph.name = graph.name
    typed = {value.name: value for value in [*graph.value_info, *graph.output]}
    found.graph.input.extend(value for value in graph.input if value.name in seen)
    found.graph.input.extend(typed[name] for name in given if name in seen)
    found.graph.output.extend(typed.get(name, onnx.ValueInfoProto(name=name)) for name in outputs)
    found.graph.value_info.extend(value for value in graph.value_info if value.name in seen - {*outputs, *given})
    found.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in seen)
    found.graph.node.extend(node for node in graph.node if seen.intersection(node.output) - set(given))
    return found


def cuts(model: onnx.ModelProto, work: Work, parts: int, limit_bytes: int) -> list[Cut]:
    """The beginning, and at most `parts` - 1 other cuts that split the work of a static graph about evenly.

    A cut whose kept activations are larger than `limit_bytes`, or of unknown size, is not taken.
    """
    sizes, last, live = _sizes(model), _last_readers(model), set[str]()
    active, nodes = _depending_on_inputs(model), list(model.graph.node)
    share = sum(work.get(node.name, 0.0) for node in nodes) / parts
    found, done, wanted = [Cut(0, ())], 0.0, share
    for position, node in enumerate(nodes[:-1], start=1):
        live = {name for name in {*live, *node.output} if name in active and last.get(name, 0) > position}
        done += work.get(node.name, 0.0)
        size = sum(sizes.get(name, limit_bytes + 1) for name in live)
        if live and done >= wanted > 0 and size <= limit_bytes and len(found) < parts:
            found.append(Cut(position, tuple(sorted(live))))
            wanted = share * (done // share + 1)
    return found


def first_readers(model: onnx.ModelProto) -> dict[str, int]:
    """The position of the first node that reads each tensor; a graph's output is read behind the last one."""
    found = {value.name: len(model.graph.node) for value in model.graph.output}
    for position, node in reversed(list(enumerate(model.graph.node))):
        found |= dict.fromkeys(reads(node), position)
    return found


def _last_readers(model: onnx.ModelProto) -> dict[str, int]:
    """One more than the position of the last node that reads each tensor: after how many nodes it may go."""
    found = {name: position for position, node in enumerate(model.graph.node, start=1) for name in reads(node)}
    return found | {value.name: len(model.graph.node) + 1 for value in model.graph.output}


def _depending_on_inputs(model: onnx.ModelProto) -> set[str]:
    """Activations: what is not computed from constants alone."""
    known = {value.name for value in model.graph.input} - {tensor.name for tensor in model.graph.initializer}
    found: set[str] = set()
    for node in model.graph.node:
        if any(name in known or name in found for name in reads(node)):
            found.update(filter(None, node.output))
    return found


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of every tensor whose shape is known and static."""
    found = {}
    for value in [*model.graph.value_info, *model.graph.output]:
        tensor = value.type.tensor_type
        if tensor.elem_type and tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            width = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
            found[value.name] = width * int(np.prod([dim.dim_value for dim in tensor.shape.dim], dtype=np.int64))
    return found
