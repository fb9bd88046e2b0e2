"""Reads an ONNX file's graph."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from ..api.errors import ConversionFailed


def read_graph(path: Path) -> onnx.ModelProto:
    """Load an ONNX file, without data that lies in other files. Raises ConversionFailed when it is damaged."""
    try:
        return onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ConversionFailed(f"{path.name} is truncated or no ONNX file", hint="Make the variant again") from error


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node needs, those that its subgraphs take from around it included."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            outer = [name for inner in graph.node for name in reads(inner)]
            yield from (name for name in [*outer, *(value.name for value in graph.output)] if name not in own)
