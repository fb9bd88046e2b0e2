"""The ONNX form of the net to train, in which the pipeline's own methods change weights, and the way back."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch.fx import GraphModule

from ..equalize import equalize
from ..linear_layers import Array, Weights
from .program import used_parameters

Parameters = dict[str, torch.nn.Parameter]


@dataclass(frozen=True)
class Origin:
    """The parameter that an initializer of the ONNX form holds."""

    parameter: str
    transposed: bool

    def write(self, parameters: Parameters, value: Array) -> None:
        """Give the parameter the initializer's value."""
        oriented = np.ascontiguousarray(value.T if self.transposed else value)
        with torch.no_grad():
            parameters[self.parameter].copy_(torch.from_numpy(oriented))


class Twin:
    """A net's float ONNX form, and which of its initializers holds which parameter."""

    def __init__(self, model: onnx.ModelProto, module: GraphModule) -> None:
        """`model` was exported from `module`."""
        self.model = model
        self.origins = dict(_origins(model, used_parameters(module)))

    def equalize(self, module: GraphModule) -> int:
        """Equalize the form, and with it the net, which computes the same as before; gives the number of pairs."""
        pairs = equalize(self.model)
        self.write(module)
        return len(pairs)

    def write(self, module: GraphModule) -> None:
        """Give the parameters of a net of the same names what the form holds now."""
        parameters, weights = used_parameters(module), Weights(self.model)
        for name, origin in self.origins.items():
            origin.write(parameters, weights[name])


def _origins(model: onnx.ModelProto, parameters: Parameters) -> Iterator[tuple[str, Origin]]:
    """Initializers that hold a parameter: the exporter keeps names, except of matrices that it transposes."""
    weights = Weights(model)
    matrices: dict[bytes, list[str]] = {}
    for name, parameter in parameters.items():
        if parameter.ndim == 2:
            turned = np.ascontiguousarray(parameter.detach().numpy().T)
            matrices.setdefault(turned.tobytes(), []).append(name)
    for tensor in model.graph.initializer:
        if tensor.name in parameters:
            yield tensor.name, Origin(tensor.name, transposed=False)
        elif tensor.name in weights and len(tensor.dims) == 2:
            candidates = matrices.get(weights[tensor.name].tobytes(), [])
            if len(candidates) == 1:
                yield tensor.name, Origin(candidates[0], transposed=True)
