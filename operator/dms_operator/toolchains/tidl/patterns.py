"""Groups of nodes that TIDL imports as one layer. Source: TI docs/vision_transformers.md and docs/operators.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from .graph import Graph, Node

ACTIVATIONS = {"Relu", "Clip", "PRelu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh", "Elu", "HardSwish", "Mish"}
"""Run by the layer before them, not by a layer of their own (TI: merged into convolution or batch norm)."""


@dataclass(frozen=True)
class Fusion:
    """Nodes that become one layer: `kind`, the nodes' numbers in the file, and the last node's output."""

    kind: str
    members: frozenset[int]
    output: str


def find_fusions(graph: Graph) -> list[Fusion]:
    """LayerNorm, GELU and SiLU written out in small nodes; no node belongs to two."""
    found: list[Fusion] = []
    taken: set[int] = set()
    for fusion in (*_layer_norms(graph), *_gelus(graph), *_silus(graph)):
        if not taken & fusion.members:
            found.append(fusion)
            taken |= fusion.members
    return found


def _layer_norms(graph: Graph) -> Iterator[Fusion]:
    """ReduceMean - Sub - Pow 2 (or Mul with itself) - ReduceMean - Add - Sqrt - Div."""
    for divide in graph.nodes:
        if divide.op != "Div":
            continue
        root, centred = _producer(graph, divide.inputs[1], "Sqrt"), _producer(graph, divide.inputs[0], "Sub")
        shifted = root and _producer(graph, root.inputs[0], "Add")
        variance = shifted and _any_producer(graph, shifted, "ReduceMean")
        square = variance and _square(graph, variance.inputs[0])
        mean = centred and _producer(graph, centred.inputs[1], "ReduceMean")
        members = (divide, root, centred, shifted, variance, square, mean)
        if centred and mean and square and centred.output in square.inputs and mean.inputs[0] == centred.inputs[0]:
            yield _fusion("LayerNorm", [node for node in members if node], divide)


def _gelus(graph: Graph) -> Iterator[Fusion]:
    """X / sqrt 2 - Erf - + 1 - the two Mul with x and 0.5, in either order."""
    for erf in graph.nodes:
        if erf.op != "Erf":
            continue
        scaled = graph.producers.get(erf.inputs[0])
        shifted = graph.only_consumer(erf.output)
        if not scaled or scaled.op not in ("Div", "Mul") or not shifted or shifted.op != "Add":
            continue
        source = graph.variables(scaled)
        first = graph.only_consumer(shifted.output)
        if not source or not first or first.op != "Mul":
            continue
        yield from _gelu_products(graph, source[0], [scaled, erf, shifted, first])


def _gelu_products(graph: Graph, source: str, members: list[Node]) -> Iterator[Fusion]:
    first = members[-1]
    if source in first.inputs:  # (x * (1 + erf)) * 0.5
        last = graph.only_consumer(first.output)
        if last and last.op == "Mul" and any(graph.scalar(name) == 0.5 for name in last.inputs):
            yield _fusion("Gelu", [*members, last], last)
        return
    for name in first.inputs:  # (x * 0.5) * (1 + erf)
        half = graph.producers.get(name)
        if half and half.op == "Mul" and source in half.inputs and any(graph.scalar(n) == 0.5 for n in half.inputs):
            yield _fusion("Gelu", [*members, half], first)
    if any(graph.scalar(name) == 0.5 for name in first.inputs):  # x * (0.5 * (1 + erf))
        last = graph.only_consumer(first.output)
        if last and last.op == "Mul" and source in last.inputs:
            yield _fusion("Gelu", [*members, last], last)


def _silus(graph: Graph) -> Iterator[Fusion]:
    for sigmoid in graph.nodes:
        product = graph.only_consumer(sigmoid.output) if sigmoid.op in ("Sigmoid", "HardSigmoid") else None
        if product and product.op == "Mul" and sigmoid.inputs[0] in product.inputs:
            yield _fusion("SiLU" if sigmoid.op == "Sigmoid" else "HardSwish", [sigmoid, product], product)


def _fusion(kind: str, members: list[Node], last: Node) -> Fusion:
    return Fusion(kind, frozenset(node.index for node in members), last.output)


def _producer(graph: Graph, name: str, op: str) -> Node | None:
    node = graph.producers.get(name)
    return node if node and node.op == op else None


def _any_producer(graph: Graph, node: Node, op: str) -> Node | None:
    return next((found for name in node.inputs if (found := _producer(graph, name, op))), None)


def _square(graph: Graph, name: str) -> Node | None:
    power = _producer(graph, name, "Pow")
    if power and graph.scalar(power.inputs[1]) == 2.0:
        return power
    product = _producer(graph, name, "Mul")
    return product if product and product.inputs[0] == product.inputs[1] else None
