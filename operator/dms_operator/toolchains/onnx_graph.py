"""Reads an ONNX file's graph."""

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
