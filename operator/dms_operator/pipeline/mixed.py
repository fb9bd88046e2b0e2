"""Mixed precision: which tensors get more bits, so that the drop is inside what is accepted at the least cost.

Each tensor is rounded alone, and how far the model's output moves is its sensitivity. Then tensors get their bits
back in the order of sensitivity per cost; as few as reach the accuracy on calibration samples, found by bisection.
With 8-bit activations a tensor becomes 16 bits wide, which makes its neighbours 16-bit operations (an island);
with 4-bit weights a weight becomes 8 bits wide.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType

from .encodings import Encodings
from .feeds import Samples, head
from .linear_layers import Array, linear_layers
from .parts import Work
from .progress import Progress
from .schemes import Overrides, Scheme
from .sensitivity import errors_alone
from .switches import Switched

SENSITIVITY_SAMPLES = 16
"""Samples on which each tensor is rounded alone: the mean over outputs is steady long before an accuracy is."""
LEAST_COST = 0.001
"""Least cost of widening anything: converting at an island's borders costs the HTP about this share of a small net."""
_KEEPS_VALUES = {"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "MaxPool", "Relu", "Identity", "Slice"}
"""Operators whose output has the values of their input: rounding twice on the same grid changes nothing."""


@dataclass(frozen=True)
class Unit:
    """Tensors that are widened together."""

    tensors: list[str]
    operator: str
    """What makes the activation, or reads the weight."""
    cost: float
    """What more bits cost, as a share of the whole: cycles or multiplications, or bytes of weights."""


@dataclass(frozen=True)
class Sensitivity:
    """A row of the sensitivity table."""

    tensors: list[str]
    operator: str
    cost: float
    error: float
    """Squared change of the output when this alone is rounded, as a share of the output's own square."""
    widened: bool = False


@dataclass(frozen=True)
class Mixture:
    """What the search chose."""

    rows: list[Sensitivity]
    """Most sensitive first."""
    overrides: Overrides
    drop: float
    """Drop on the calibration samples with this choice, simulated."""

    def table(self) -> dict[str, Any]:
        """What `sensitivity.json` holds."""
        return {"simulatedDrop": self.drop, "layers": [asdict(row) for row in self.rows]}

    @property
    def summary(self) -> str:
        """For the facts' notes."""
        wide = [row for row in self.rows if row.widened]
        cost = sum(row.cost for row in wide)
        shown = ", ".join(f"{row.tensors[0]} ({row.operator})" for row in wide[:3])
        more = f" and {len(wide) - 3} more" if len(wide) > 3 else ""
        return (
            f"{len(wide)} of {len(self.rows)} layers widened, at {cost:.0%} of the work: {shown}{more}"
            if wide
            else (f"none of {len(self.rows)} layers widened")
        )


def search(
    model: onnx.ModelProto,
    scheme: Scheme,
    encodings: Encodings,
    weights: dict[str, Array],
    feeds: Samples,
    drop_of: Callable[[Array], float],
    accepted: float,
    progress: Progress,
    work: Work | None = None,
) -> Mixture:
    """Find the cheapest widening whose drop (of first outputs [N, ...] of the feeds) is at most `accepted`.

    `encodings` and `weights` are those of the model when it is quantized as a whole. `work` is what widening costs
    each node of 8-bit activations; None = its share of the multiplications.
    """
    on_host = multiplications(model)
    if scheme.weight == QuantType.QInt4:
        narrow = weight_units(model, scheme)
    else:
        narrow = activation_units(model, encodings, on_host if work is None else work)
    groups = [set(unit.tensors) for unit in narrow]
    activations = {} if scheme.weight == QuantType.QInt4 else encodings.activations
    base = _with_weights(model, weights, groups)
    few = head(feeds, SENSITIVITY_SAMPLES)
    errors = errors_alone(base, activations, weights, groups, few, on_host, progress)
    order = sorted(
        range(len(narrow)), key=lambda number: (-errors[number] / max(narrow[number].cost, LEAST_COST), number)
    )
    order.sort(key=lambda number: not scheme.widens(narrow[number].operator))
    most = sum(scheme.widens(unit.operator) for unit in narrow)
    switched = Switched(base, activations, weights, groups)
    widened, drop = _fewest(switched, feeds, order, most, drop_of, accepted, progress)
    rows = [
        Sensitivity(unit.tensors, unit.operator, unit.cost, errors[number], number in widened)
        for number, unit in enumerate(narrow)
    ]
    chosen = [tensor for number in sorted(widened) for tensor in narrow[number].tensors]
    return Mixture(sorted(rows, key=lambda row: -row.error), _wider(scheme, chosen), drop)


def activation_units(model: onnx.ModelProto, encodings: Encodings, work: Work) -> list[Unit]:
    """Every quantized activation with those of the same values after it."""
    members: dict[str, list[str]] = {}
    first = {value.name: value.name for value in model.graph.input}
    for node in model.graph.node:
        same = node.op_type in _KEEPS_VALUES and node.input[0] in first
        for name in node.output:
            first[name] = first[node.input[0]] if same else name
    for name in encodings.activations:
        members.setdefault(first.get(name, name), []).append(name)
    makers = {name: node for node in model.graph.node for name in node.output}
    return [
        Unit(sorted(tensors), makers[root].op_type if root in makers else "input", _touched(model, tensors, work))
        for root, tensors in members.items()
    ]


def weight_units(model: onnx.ModelProto, scheme: Scheme) -> list[Unit]:
    """Every 4-bit weight."""
    sizes = {tensor.name: float(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    narrow = {
        layer.weight: layer.node.op_type
        for layer in linear_layers(model)
        if scheme.weight_bits(layer.node.op_type) == 4
    }
    total = sum(sizes[name] for name in narrow) or 1.0
    return [Unit([name], operator, sizes[name] / total) for name, operator in narrow.items()]


def multiplications(model: onnx.ModelProto) -> dict[str, float]:
    """Share of each node, where nothing is known of the target: multiplications, or one step per output element."""
    shapes = {
        value.name: float(np.prod([max(1, dim.dim_value) for dim in value.type.tensor_type.shape.dim]))
        for value in [*model.graph.value_info, *model.graph.output]
    }
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    work = {node.name: shapes.get(node.output[0], 1.0) for node in model.graph.node}
    for layer in linear_layers(model):
        dims = weights[layer.weight].dims
        work[layer.node.name] *= float(np.prod(dims)) / dims[layer.output_axis]
    total = sum(work.values()) or 1.0
    return {name: steps / total for name, steps in work.items()}


def _touched(model: onnx.ModelProto, tensors: list[str], work: Work) -> float:
    """Work of the nodes that make or read any of the tensors."""
    names = set(tensors)
    return sum(work.get(node.name, 0.0) for node in model.graph.node if names & {*node.input, *node.output})


def _with_weights(model: onnx.ModelProto, weights: dict[str, Array], switched: list[set[str]]) -> onnx.ModelProto:
    """The model with those quantized weights that have no switch."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.name in weights and not any(tensor.name in group for group in switched):
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    return copy


def _fewest(
    switched: Switched,
    feeds: Samples,
    order: list[int],
    most: int,
    drop_of: Callable[[Array], float],
    accepted: float,
    progress: Progress,
) -> tuple[set[int], float]:
    """The least number of units from the head of the order that must be wide, by bisection; `most` if none is enough.

    What comes after the first `most` is always rounded.
    """
    drops: dict[int, float] = {}

    def enough(count: int) -> bool:
        drops[count] = drop_of(switched.first_outputs(feeds, order[count:]))
        progress("search", len(drops), int(np.ceil(np.log2(most + 1))) + 1)
        return drops[count] <= accepted

    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    if low not in drops:
        enough(low)
    return set(order[:low]), drops[low]


def _wider(scheme: Scheme, tensors: list[str]) -> Overrides:
    if scheme.weight != QuantType.QInt4:
        wide = QuantType.QInt16 if scheme.activation == QuantType.QInt8 else QuantType.QUInt16
        return {tensor: [{"quant_type": wide}] for tensor in tensors}
    axis = {"axis": 0} if scheme.per_channel else {}
    return {tensor: [{"quant_type": QuantType.QInt8, "symmetric": True, **axis}] for tensor in tensors}
