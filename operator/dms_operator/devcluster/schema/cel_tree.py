"""The checked syntax tree of a compiled expression.

The library gives it as a serialized `cel.expr.CheckedExpr`, for which no Python package has classes: the parts that are
read are described here (cel-spec, proto/cel/expr/syntax.proto and checked.proto; the numbers are the wire format's).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cel_expr_python import cel
from google.protobuf.any_pb2 import Any as Envelope
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass


@dataclass(frozen=True)
class Type:
    """`bool int uint double string bytes null timestamp duration dyn list map struct type param` or `opaque`."""

    kind: str
    parameters: tuple[Type, ...] = ()


DYN = Type("dyn")


@dataclass(frozen=True)
class Literal:
    """A constant."""

    type: Type
    value: Any


@dataclass(frozen=True)
class Ident:
    """A variable, or the name of a type."""

    type: Type
    name: str


@dataclass(frozen=True)
class Select:
    """A field of an operand; `test`: whether it is there, `has()`."""

    type: Type
    operand: Node
    field: str
    test: bool


@dataclass(frozen=True)
class Call:
    """A function or operator; several overloads where types are known when it runs only."""

    type: Type
    function: str
    target: Node | None
    arguments: tuple[Node, ...]
    overloads: tuple[str, ...]


@dataclass(frozen=True)
class ListLiteral:
    """`[a, b]`."""

    type: Type
    elements: tuple[Node, ...]


@dataclass(frozen=True)
class MapLiteral:
    """`{a: b}`, keys and values in turn."""

    type: Type
    entries: tuple[Node, ...]


@dataclass(frozen=True)
class Comprehension:
    """What `all`, `exists`, `map` and `filter` stand for: a loop over `range` with an accumulator."""

    type: Type
    variable: str
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node: TypeAlias = Literal | Ident | Select | Call | ListLiteral | MapLiteral | Comprehension

_MESSAGES = {
    "CheckedExpr": "2:*Referred:references 3:*Typed:types 4:Expr:expr",
    "Referred": "1:INT64:key 2:Reference:value",
    "Reference": "1:STRING:name 3:*STRING:overloads",
    "Typed": "1:INT64:key 2:Type:value",
    "Type": "1:Empty:dyn 2:INT64:null 3:INT64:primitive 4:INT64:wrapper 5:INT64:well_known 6:Elements:list "
    "7:Entries:map 9:STRING:struct 10:STRING:param 11:Type:type 14:Opaque:opaque",
    "Empty": "",
    "Elements": "1:Type:parameters",
    "Entries": "1:Type:key 2:Type:value",
    "Opaque": "1:STRING:name 2:*Type:parameters",
    "Expr": "2:INT64:id 3:Constant:literal 4:Ident:ident 5:Select:select 6:Call:call 7:List:list 8:Struct:struct "
    "9:Comprehension:comprehension",
    "Constant": "1:INT64:null 2:BOOL:bool 3:INT64:int 4:UINT64:uint 5:DOUBLE:double 6:STRING:string 7:BYTES:bytes",
    "Ident": "1:STRING:name",
    "Select": "1:Expr:operand 2:STRING:field 3:BOOL:test",
    "Call": "1:Expr:target 2:STRING:function 3:*Expr:arguments",
    "List": "1:*Expr:elements",
    "Struct": "2:*Entry:entries",
    "Entry": "2:STRING:field 3:Expr:key 4:Expr:value",
    "Comprehension": "1:STRING:variable 2:Expr:range 3:STRING:accumulator 4:Expr:start 5:Expr:condition 6:Expr:step "
    "7:Expr:result",
}
_PRIMITIVES = ("", "bool", "int", "uint", "double", "string", "bytes")
_WELL_KNOWN = ("", "dyn", "timestamp", "duration")


def syntax_tree(program: cel.Expression) -> Node:
    """The tree of a compiled and checked expression."""
    checked = _CheckedExpr.FromString(Envelope.FromString(program.serialize()).value)
    types = {typed.key: _type(typed.value) for typed in checked.types}
    overloads = {referred.key: tuple(referred.value.overloads) for referred in checked.references}
    return _Reader(types, overloads).node(checked.expr)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in _children(node):
        yield from walk(child)


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Call):
        return ((node.target,) if node.target else ()) + node.arguments
    if isinstance(node, Comprehension):
        return (node.range, node.start, node.condition, node.step, node.result)
    if isinstance(node, ListLiteral):
        return node.elements
    return node.entries if isinstance(node, MapLiteral) else ()


@dataclass(frozen=True)
class _Reader:
    types: Mapping[int, Type]
    overloads: Mapping[int, tuple[str, ...]]

    def node(self, expr: Any) -> Node:
        kind = next(field.name for field, _ in expr.ListFields() if field.name != "id")
        node: Node = getattr(self, f"_{kind}")(getattr(expr, kind), self.types.get(expr.id, DYN), expr.id)
        return node

    def nodes(self, exprs: Any) -> tuple[Node, ...]:
        return tuple(self.node(expr) for expr in exprs)

    def _literal(self, constant: Any, kind: Type, _: int) -> Literal:
        [(field, value)] = constant.ListFields()
        return Literal(kind, None if field.name == "null" else value)

    def _ident(self, ident: Any, kind: Type, _: int) -> Ident:
        return Ident(kind, ident.name)

    def _select(self, select: Any, kind: Type, _: int) -> Select:
        return Select(kind, self.node(select.operand), select.field, select.test)

    def _call(self, call: Any, kind: Type, number: int) -> Call:
        target = self.node(call.target) if call.HasField("target") else None
        return Call(kind, call.function, target, self.nodes(call.arguments), self.overloads.get(number, ()))

    def _list(self, literal: Any, kind: Type, _: int) -> ListLiteral:
        return ListLiteral(kind, self.nodes(literal.elements))

    def _struct(self, literal: Any, kind: Type, _: int) -> MapLiteral:
        keys_and_values = [part for entry in literal.entries for part in (entry.key, entry.value)]
        return MapLiteral(kind, self.nodes(part for part in keys_and_values if part.ListFields()))

    def _comprehension(self, loop: Any, kind: Type, _: int) -> Comprehension:
        start, condition, step = self.node(loop.start), self.node(loop.condition), self.node(loop.step)
        return Comprehension(
            kind, loop.variable, self.node(loop.range), loop.accumulator, start, condition, step, self.node(loop.result)
        )


def _type(message: Any) -> Type:
    [(field, value)] = message.ListFields() or [(None, None)]
    name = field.name if field else "dyn"
    if name in ("primitive", "wrapper"):
        return Type(_PRIMITIVES[value])
    if name == "well_known":
        return Type(_WELL_KNOWN[value])
    return Type(name, tuple(_type(inner) for inner in _parameters(name, value)))


def _parameters(name: str, value: Any) -> list[Any]:
    if name == "map":
        return [value.key, value.value]
    if name == "list":
        return [value.parameters]
    return list(value.parameters) if name == "opaque" else []


def _checked_expr() -> Any:
    file = FileDescriptorProto(name="checked.proto", package="tree", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, kind, field_name in (field.split(":") for field in fields.split()):
            field = message.field.add(name=field_name, number=int(number))
            field.label = field.LABEL_REPEATED if kind[0] == "*" else field.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            if kind in _MESSAGES:
                field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".tree.{kind}"
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind}")
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("tree.CheckedExpr"))


_CheckedExpr = _checked_expr()
