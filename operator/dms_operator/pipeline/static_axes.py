"""Axes that an ONNX export left open: closed as the user declares, or refused with the lines to declare."""

import onnx

from ..api.errors import ModelShapeMismatch
from ..api.stages import TensorSpec

_FLOATING = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
"""Declared as float32: halves are widened."""
Axis = onnx.TensorShapeProto.Dimension


def true_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The graph's inputs without weights, which older exporters list there too."""
    weights = {initializer.name for initializer in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def close_axes(model: onnx.ModelProto, declared: list[TensorSpec] | None) -> None:
    """Write declared sizes over open axes of inputs, in place, and infer all other shapes from them again.

    Raises ModelShapeMismatch when a declared size contradicts a fixed one, or an open axis is declared nowhere.
    """
    inputs = true_inputs(model)
    if not any(_is_open(axis) for value in inputs for axis in _axes(value)):
        return
    if declared is None:
        refuse_open_axes(inputs)
    _check_declared_axes(declared or [], inputs)
    for value in inputs:
        for axis, size in zip(_axes(value), _declared_shape(declared or [], value), strict=True):
            axis.dim_value = size
    _infer_again(model)


def refuse_open_axes(inputs: list[onnx.ValueInfoProto]) -> None:
    """Raise ModelShapeMismatch that names each open axis, and how to close them."""
    dynamic = [
        f"axis {index} of {value.name}" + (f" ({axis.dim_param})" if axis.dim_param else "")
        for value in inputs
        for index, axis in enumerate(_axes(value))
        if _is_open(axis)
    ]
    if dynamic:
        lines = ", ".join(f"{{name: {value.name}, shape: {_proposed(value)}{_type(value)}}}" for value in inputs)
        raise ModelShapeMismatch(
            f"the model has dynamic axes ({', '.join(dynamic)[:400]}), and NPUs need static shapes",
            hint=f"Write spec.model.inputs: [{lines[:400]}], or export without dynamic_axes or dynamic_shapes",
        )


def _axes(value: onnx.ValueInfoProto) -> list[Axis]:
    return list(value.type.tensor_type.shape.dim)


def _is_open(axis: Axis) -> bool:
    return not axis.HasField("dim_value") or axis.dim_value < 1


def _size(axis: Axis, otherwise: str) -> str:
    return (axis.dim_param or otherwise) if _is_open(axis) else str(axis.dim_value)


def _proposed(value: onnx.ValueInfoProto) -> str:
    """The shape to declare: batch 1, which is all that a stage runs; other open axes are the user's to fill in."""
    axes = _axes(value)
    sizes = [f"<{_size(axis, '?')}>" if _is_open(axis) else _size(axis, "?") for axis in axes]
    if axes and _is_open(axes[0]):
        sizes[0] = "1"
    return f"[{', '.join(sizes)}]"


def _type(value: onnx.ValueInfoProto) -> str:
    """An element type that has to be declared, because it is not the default."""
    kind = value.type.tensor_type.elem_type
    return "" if kind in _FLOATING else f", dtype: {onnx.TensorProto.DataType.Name(kind).lower()}"


def _declared_shape(declared: list[TensorSpec], value: onnx.ValueInfoProto) -> list[int]:
    return next(spec.shape for spec in declared if spec.name == value.name)


def _check_declared_axes(declared: list[TensorSpec], inputs: list[onnx.ValueInfoProto]) -> None:
    shapes = {spec.name: spec.shape for spec in declared}
    if shapes.keys() == {value.name for value in inputs} and all(
        _fits(shapes[value.name], _axes(value)) for value in inputs
    ):
        return
    said = ", ".join(f"{spec.name} {spec.shape}" for spec in declared)
    taken = ", ".join(f"{value.name} [{', '.join(_size(axis, '?') for axis in _axes(value))}]" for value in inputs)
    raise ModelShapeMismatch(
        f"spec.model.inputs says {said[:400]}, but the model takes {taken[:400]}",
        hint="Correct spec.model.inputs: every input, with the sizes that the model fixes",
    )


def _fits(shape: list[int], axes: list[Axis]) -> bool:
    return len(shape) == len(axes) and all(
        _is_open(axis) or axis.dim_value == size for size, axis in zip(shape, axes, strict=True)
    )


def _infer_again(model: onnx.ModelProto) -> None:
    """What the exporter noted of inner tensors and outputs names the open axes still."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        for axis in _axes(value):
            if axis.HasField("dim_param"):
                axis.ClearField("dim_param")
    model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))
