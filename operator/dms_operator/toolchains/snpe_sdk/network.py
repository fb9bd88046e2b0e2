"""The model that goes into the tools, and the checks that need no tool."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from ...api.errors import ConversionFailed, InvalidSpec
from ..onnx_graph import read_graph
from ..qnn.delegation import compute_nodes
from .argv import Shapes, Widths
from .encodings import FloatModel, float_model

NEWEST_OPSET = 21
"""Newest ONNX opset of snpe-onnx-to-dlc (80-63442-2)."""
OVERRIDES = "encodings.json"


@dataclass(frozen=True)
class Network:
    """A checked model: input and output shapes by name, and its float form with overrides."""

    inputs: Shapes
    outputs: Shapes
    split: FloatModel
    nodes: int
    """Compute nodes of the variant's model."""

    @property
    def overrides(self) -> str | None:
        """Name of the overrides file in the scratch directory, None for a float model."""
        return OVERRIDES if self.split.quantized else None

    @property
    def widths(self) -> Widths:
        """Bits of weights and activations, by the overrides."""
        weights = {entry[0]["bitwidth"] for entry in self.split.parameters.values()}
        activations = {entry[0]["bitwidth"] for entry in self.split.activations.values()}
        return Widths(min(weights, default=8), max(activations, default=8))

    def write(self, directory: Path) -> None:
        """Write `model.onnx` and the overrides."""
        onnx.save(self.split.model, directory / "model.onnx")
        if self.overrides:
            (directory / OVERRIDES).write_text(json.dumps(self.split.to_wire(), indent=1) + "\n")


def read_network(path: Path) -> Network:
    """Read and check a variant's model. Raises ConversionFailed (opset, (de)quantization), InvalidSpec (batch)."""
    model = read_graph(path)
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if opset > NEWEST_OPSET:
        raise ConversionFailed(
            f"the model has ONNX opset {opset}, the SDK's converters read up to {NEWEST_OPSET}",
            hint=f"Export it with opset {NEWEST_OPSET} or older",
        )
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _shape(value) for value in model.graph.input if value.name not in constants}
    for name, shape in inputs.items():
        if shape and shape[0] != 1:
            raise InvalidSpec(
                f"input {name} has batch {shape[0]}, the SDK's quantizer takes batch 1 alone",
                hint="Write 1 as the first number of spec.model.inputs[].shape",
            )
    outputs = {value.name: _shape(value) for value in model.graph.output}
    return Network(inputs, outputs, float_model(model), len(compute_nodes(model)))


def _shape(value: onnx.ValueInfoProto) -> Sequence[int]:
    shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    if not all(shape):
        raise ConversionFailed(f"{value.name} has no static shape", hint="Export the model with static shapes")
    return shape
