"""The static estimate of what an expression costs at most, in the API server's units.

Rules: cel-go checker/cost.go and common/cost.go, and apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go
(sizeEstimator) for how sizes come from the schema. Ours is written from these rules;
tests/devcluster/test_cost_published.py holds it against the costs that both projects publish in their own tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatchmethod
from typing import NamedTuple

from dms_operator.devcluster.schema.cel_tree import (
    Call,
    Comprehension,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    Select,
    Type,
)
from dms_operator.devcluster.schema.cost_bounds import Bounds
from dms_operator.devcluster.schema.cost_calls import (
    MEMBERS,
    ONE,
    OVERLOADS,
    UNKNOWN,
    Price,
    Size,
    constant,
    join,
    joined,
    product,
    total,
)

_NEW_LIST, _NEW_MAP = 10, 30
_SCALARS = ("bool", "double", "duration", "int", "timestamp", "uint")
_STEPS = (("index_map", "@values"), ("index_list", "@items"))


class _Estimate(NamedTuple):
    """The most that a node costs, the path to its value (a variable, then fields), the size of its value."""

    cost: int
    path: tuple[str, ...] = ()
    known: Size | None = None

    @property
    def size(self) -> Size:
        return self.known or UNKNOWN


_Scope = Mapping[str, _Estimate]


def estimated_cost(expression: Node, bounds: Bounds) -> int:
    """The most that one evaluation costs; `bounds` are those of `self`, and of `oldSelf`."""
    return _Estimator(bounds).of(expression, {}).cost


class _Estimator:
    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds

    @singledispatchmethod
    def of(self, node: Node, scope: _Scope) -> _Estimate:
        raise TypeError(f"no expression: {node}")

    @of.register
    def _(self, node: Literal, scope: _Scope) -> _Estimate:
        return _Estimate(0, (), _exactly(len(node.value)) if isinstance(node.value, str | bytes) else ONE)

    @of.register
    def _(self, node: Ident, scope: _Scope) -> _Estimate:
        variable = scope.get(node.name, _Estimate(0, (node.name,)))
        return _Estimate(1, variable.path, self._size(variable.path, node.type) or variable.known)

    @of.register
    def _(self, node: Select, scope: _Scope) -> _Estimate:
        operand = self.of(node.operand, scope)
        if node.test:
            return _Estimate(operand.cost, (), ONE)
        access = 1 if node.operand.type.kind in ("map", "struct", "param") else 0
        path = (*operand.path, node.field)
        return _Estimate(total((operand.cost, access)), path, self._size(path, node.type))

    @of.register
    def _(self, node: ListLiteral, scope: _Scope) -> _Estimate:
        costs = [self.of(element, scope).cost for element in node.elements]
        return _Estimate(total((_NEW_LIST, *costs)), (), _exactly(len(node.elements)))

    @of.register
    def _(self, node: MapLiteral, scope: _Scope) -> _Estimate:
        costs = [self.of(part, scope).cost for part in node.entries]
        return _Estimate(total((_NEW_MAP, *costs)), (), _exactly(len(node.entries) // 2))

    @of.register
    def _(self, node: Comprehension, scope: _Scope) -> _Estimate:
        values, start = self.of(node.range, scope), self.of(node.start, scope)
        after = {**scope, node.accumulator: start}
        step = "@items" if node.range.type.kind == "list" else "@keys"
        inside = {**after, node.variable: _Estimate(0, (*values.path, step))}
        once = total((self.of(node.condition, inside).cost, self.of(node.step, inside).cost))
        cost = total((values.cost, start.cost, product(values.size.most, once), self.of(node.result, after).cost))
        return _Estimate(cost, (), start.known if isinstance(node.start, Literal) else values.size)

    @of.register
    def _(self, node: Call, scope: _Scope) -> _Estimate:
        target = None if node.target is None else self.of(node.target, scope)
        arguments = [self.of(argument, scope) for argument in node.arguments]
        prices = [self._price(node, overload, target, arguments) for overload in node.overloads]
        dearest = max((cost for cost, _ in prices), default=0)
        steps = [step for overload, step in _STEPS if overload in node.overloads]
        path = (*arguments[0].path, steps[0]) if steps else ()
        sizes = [size for _, size in prices if size is not None]
        known = joined(sizes) if sizes else self._size(path, node.type)
        return _Estimate(total((target.cost if target else 0, dearest)), path, known)

    def _price(self, node: Call, overload: str, target: _Estimate | None, arguments: list[_Estimate]) -> Price:
        """Of one overload, arguments included."""
        costs, sizes = [argument.cost for argument in arguments], [argument.size for argument in arguments]
        if overload == "conditional":
            return total((costs[0], max(costs[1:]))), joined(sizes[1:])
        if overload in ("logical_and", "logical_or"):
            return total(costs), None
        if target and node.function == "join":
            cost, size = join(target.size, self._element(target), sizes)
        else:
            pricing = OVERLOADS.get(overload, constant)
            pricing = MEMBERS.get(node.function, pricing) if target else pricing
            cost, size = pricing(target.size if target else UNKNOWN, sizes)
        return total((cost, *costs)), size

    def _element(self, values: _Estimate) -> Size:
        found = self.bounds.at((*values.path[1:], "@items")) if values.path else None
        return Size(0, found.most) if found else UNKNOWN

    def _size(self, path: tuple[str, ...], kind: Type) -> Size | None:
        """By the schema, else by the type. The first step is not looked at: cel-go takes any variable for self."""
        found = self.bounds.at(path[1:]) if path else None
        if found is not None:
            return Size(0, found.most)
        if kind.kind == "opaque" and kind.parameters:
            kind = kind.parameters[0]
        return ONE if kind.kind in _SCALARS else None


def _exactly(size: int) -> Size:
    return Size(size, size)
