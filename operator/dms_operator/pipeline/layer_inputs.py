"""What linear layers multiply their weights by: the inputs of layers as rows of matrices, sample by sample."""

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx.utils import Extractor

from .calibration import Feed
from .linear_layers import Array, LinearLayer
from .session import cpu_session, run_once

POSITIONS = 256
"""Most positions of one sample that are looked at: neighbouring ones say nearly the same."""


def layer_rows(model: onnx.ModelProto, layers: list[LinearLayer], feeds: Iterable[Feed]) -> Iterator[list[Array]]:
    """For each sample, the rows [groups, positions, inputs per group] of each layer.

    Only as much of the model is run as these layers need.
    """
    inputs = {value.name for value in model.graph.input}
    inner = sorted({layer.input for layer in layers} - inputs)
    session = cpu_session(_part(model, inner).SerializeToString()) if inner else None
    for number, feed in enumerate(feeds):
        values = dict(feed)
        if session is not None:
            needed = {value.name: feed[value.name] for value in session.get_inputs()}
            values |= zip(inner, run_once(session, needed), strict=True)
        yield [rows(layer, values[layer.input], number) for layer in layers]


def _part(model: onnx.ModelProto, outputs: list[str]) -> onnx.ModelProto:
    """The nodes that outputs depend on."""
    producers = {name: node for node in model.graph.node for name in node.output}
    todo, seen = list(outputs), set(outputs)
    while todo:
        node = producers.get(todo.pop())
        new = [] if node is None else [name for name in node.input if name and name not in seen]
        seen.update(new)
        todo.extend(new)
    inputs = [value.name for value in model.graph.input if value.name in seen]
    return Extractor(model).extract_model(inputs, outputs)


def rows(layer: LinearLayer, value: Array, number: int) -> Array:
    """One sample's input of a layer as [groups, at most POSITIONS, inputs per group]; `number` varies the choice."""
    if layer.node.op_type != "Conv":
        flat = value.reshape(-1, value.shape[-1])
        return flat[_chosen(len(flat), number)][None]
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in layer.node.attribute}
    windows = _windows(value, attributes)
    spatial = (windows.ndim - 2) // 2
    places = (windows.shape[0], *windows.shape[2 : 2 + spatial])
    sample, *place = np.unravel_index(_chosen(int(np.prod(places)), number), places)
    picked = np.moveaxis(windows, 1, -1)[(sample, *place)]
    picked = np.moveaxis(picked, -1, 1)
    grouped = picked.reshape(len(sample), layer.groups, -1)
    return np.ascontiguousarray(np.moveaxis(grouped, 1, 0))


def _chosen(count: int, number: int) -> Array:
    step = -(-count // POSITIONS)
    return np.arange(number % step, count, step)


def _windows(value: Array, attributes: dict[str, list[int]]) -> Array:
    """What a convolution sees at each place: [N, channels, *places, *kernel]."""
    kernel = attributes["kernel_shape"]
    rank = len(kernel)
    pads = attributes.get("pads", [0] * 2 * rank)
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    padded = np.pad(value, [(0, 0), (0, 0), *((pads[axis], pads[axis + rank]) for axis in range(rank))])
    reach = [(kernel[axis] - 1) * dilations[axis] + 1 for axis in range(rank)]
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    steps = [slice(None, None, step) for step in (*strides, *dilations)]
    return windows[(slice(None), slice(None), *steps)]
