"""The pt2e quantizer: annotate every float tensor that the toolchain's quantizer gives a scale, and no other.

onnxruntime's quantizer puts Q/DQ around every operator. A tensor that training left float would get its scale only
after training, and with it an error that the net never learned to live with.
"""

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, Quantizer
from torchao.quantization.pt2e.quantizer.quantizer import QuantizationSpecBase

from ..schemes import Scheme
from .powers import unsigned_nodes
from .specs import activation_spec, constant_spec, norm_scale_spec, saturating_spec, weight_spec

aten = torch.ops.aten

WEIGHTED: dict[object, int] = {
    aten.conv1d.default: 0,
    aten.conv2d.default: 0,
    aten.conv2d.padding: 0,
    aten.conv3d.default: 0,
    aten.conv_transpose2d.input: 1,
    aten.linear.default: 0,
}
"""Operators with a weight as second and a bias as third argument, and the weight's output channel axis."""

_KEEPS_VALUES: frozenset[object] = frozenset(
    {
        aten.reshape.default,
        aten.view.default,
        aten._unsafe_view.default,
        aten.flatten.using_ints,
        aten.unflatten.int,
        aten.transpose.int,
        aten.permute.default,
        aten.squeeze.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.unsqueeze.default,
        aten.expand.default,
        aten.slice.Tensor,
        aten.select.int,
        aten.split.Tensor,
        aten.split_with_sizes.default,
        aten.chunk.default,
        aten.unbind.int,
        aten.contiguous.default,
        aten.clone.default,
        aten.alias.default,
        aten.detach.default,
        aten.dropout.default,
        aten.max_pool2d.default,
        aten.index_select.default,
    }
)
"""Operators whose outputs are some of their input's values: they stay on its grid."""

_RECTIFIERS = {
    aten.relu.default,
    aten.relu_.default,
    aten.relu6.default,
    aten.hardtanh.default,
    aten.hardtanh_.default,
    aten.clamp.default,
}
"""Operators that only clip: rounding before them on their output's grid is the same as rounding after them."""

_NORMS = {aten.layer_norm.default: (2, 3), aten.group_norm.default: (2, 3)}
"""Normalizations, with the positions of their scale and bias."""


class SchemeQuantizer(Quantizer):  # type: ignore[misc]
    """Annotates a program as onnxruntime's quantizer will quantize its ONNX form by the same scheme."""

    def __init__(self, scheme: Scheme, unsigned_inputs: frozenset[str] = frozenset()) -> None:
        """Remember the scheme, and the inputs that are never negative."""
        self._scheme, self._unsigned_inputs = scheme, unsigned_inputs
        self._unsigned: set[Node] = set()

    def annotate(self, model: GraphModule) -> GraphModule:
        """Write the annotations into the nodes' meta."""
        self._unsigned = unsigned_nodes(model, self._unsigned_inputs, _KEEPS_VALUES)
        for node in model.graph.nodes:
            if node.op in ("placeholder", "call_function"):
                node.meta["quantization_annotation"] = QuantizationAnnotation(
                    input_qspec_map=self._inputs(node), output_qspec=self._output(node), _annotated=True
                )
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to check: every operator can be annotated."""

    def _output(self, node: Node) -> QuantizationSpecBase | None:
        if not is_float(node) or keeps_values(node) or is_rectified_later(node):
            return None
        return saturating_spec(self._scheme, node.target) or activation_spec(
            self._scheme, signed=node not in self._unsigned
        )

    def _inputs(self, node: Node) -> dict[Node, QuantizationSpecBase | None]:
        """Specs of the parameters that a node reads; its other inputs are the outputs of nodes."""
        specs: dict[Node, QuantizationSpecBase | None] = {}
        for place, value in enumerate(node.args):
            if isinstance(value, Node) and is_parameter(value) and (spec := self._parameter(node, place)):
                specs[value] = spec
        return specs

    def _parameter(self, node: Node, place: int) -> QuantizationSpecBase | None:
        if node.target in WEIGHTED:
            return self._weight(node) if place == 1 else None
        if node.target in _NORMS:
            return norm_scale_spec(self._scheme) if place == _NORMS[node.target][0] else None
        return constant_spec(self._scheme)

    def _weight(self, node: Node) -> QuantizationSpecBase:
        matrix = node.target == aten.linear.default
        wide = matrix and "MatMul" in self._scheme.wide_weights
        # onnxruntime quantizes matrix products per tensor for QNN, and where an override names no axis
        whole = not self._scheme.per_channel or (matrix and (wide or self._scheme.htp))
        return weight_spec(self._scheme, wide=wide, axis=None if whole else WEIGHTED[node.target])


def is_float(node: Node) -> bool:
    """Whether the node gives one float tensor."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def is_parameter(node: Node) -> bool:
    """Whether a node is a float parameter or constant of the program."""
    return node.op == "get_attr" and is_float(node)


def keeps_values(node: Node) -> bool:
    """Whether a node's output lies on its input's grid. Constants are no node's output."""
    name = getattr(node.target, "__name__", "")
    return node.target in _KEEPS_VALUES or name == "getitem"


def is_rectified_later(node: Node) -> bool:
    """Whether only a clipping activation reads a node's output."""
    users = list(node.users)
    return node.op == "call_function" and len(users) == 1 and users[0].target in _RECTIFIERS
