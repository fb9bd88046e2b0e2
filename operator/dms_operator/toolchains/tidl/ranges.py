"""Value ranges over samples (min and max), for this package's own commands; the pipeline has finer calibrations."""

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime

from ..base import Arrays
from .fixed_point import Range


def ranges_of(model: onnx.ModelProto, samples: Iterable[Arrays]) -> dict[str, Range]:
    """Lowest and highest value of every float input and activation of a float model."""
    watched = onnx.shape_inference.infer_shapes(model)
    made = {name for node in watched.graph.node for name in node.output}
    made -= {value.name for value in watched.graph.output}
    watched.graph.output.extend(value for value in watched.graph.value_info if value.name in made and _float(value))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in watched.graph.output]
    found: dict[str, Range] = {}
    for sample in samples:
        values = dict(sample) | dict(zip(names, session.run(names, dict(sample)), strict=True))
        for name, value in values.items():
            if value.size and np.issubdtype(value.dtype, np.floating):
                low, high = found.get(name, (np.inf, -np.inf))
                found[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return found


def _float(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT)
