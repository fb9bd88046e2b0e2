"""What linear layers multiply their weights by: the inputs of layers as rows of matrices, sample by sample."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view

from .calibration import Feed
from .linear_layers import Array, LinearLayer
from .parts import part
from .session import cpu_session, run_once

POSITIONS = 256
"""Most positions of one sample that are looked at: neighbouring ones say nearly the same."""


def layer_rows(model: onnx.ModelProto, layers: list[LinearLayer], feeds: Iterable[Feed]) -> Iterator[list[Array]]:
    """For each sample, the rows [groups, positions, inputs per group] of each layer.

    Only as much of the model is run as these layers need.
    """
    inputs = {value.name for value in model.graph.input}
    inner = sorted({layer.input for layer in layers} - inputs)
    session = cpu_session(part(model, inner).SerializeToString()) if inner else None
    for number, feed in enumerate(feeds):
        values = dict(feed)
        if session is not None:
            needed = {value.name: feed[value.name] for value in session.get_inputs()}
            values |= zip(inner, run_once(session, needed), strict=True)
        yield [rows(layer, values[layer.input], number) for layer in layers]


def rows(layer: LinearLayer, value: Array, number: int) -> Array:
    """One sample's input of a layer as [groups, at most POSITIONS, inputs per group]; `number` varies the choice."""
    if layer.node.op_type != "Conv":
        flat = value.reshape(-1, value.shape[-1])
        return flat[_chosen(len(flat), number)][None]
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in layer.node.attribute}
    windows = _windows(value, layer.weight_shape[2:], attributes)
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


def _windows(value: Array, kernel: tuple[int, ...], attributes: dict[str, Any]) -> Array:
    """What a convolution sees at each place: [N, channels, *places, *kernel]."""
    rank = len(kernel)
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    pads = _pads(value.shape[2:], reach, strides, attributes)
    windows = sliding_window_view(np.pad(value, [(0, 0), (0, 0), *pads]), reach, axis=tuple(range(2, 2 + rank)))
    steps = [slice(None, None, step) for step in (*strides, *dilations)]
    return windows[(slice(None), slice(None), *steps)]


def _pads(
    sizes: tuple[int, ...], reach: list[int], strides: list[int], attributes: dict[str, Any]
) -> list[tuple[int, int]]:
    """Zeros before and after each spatial axis (ONNX operator Conv, `pads` and `auto_pad`)."""
    automatic = attributes.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        totals = [
            max(0, (-(-size // stride) - 1) * stride + seen - size)
            for size, seen, stride in zip(sizes, reach, strides, strict=True)
        ]
        small_first = [(total // 2, total - total // 2) for total in totals]
        return small_first if automatic == b"SAME_UPPER" else [(after, before) for before, after in small_first]
    pads = attributes.get("pads", [0] * 2 * len(sizes)) if automatic == b"NOTSET" else [0] * 2 * len(sizes)
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
