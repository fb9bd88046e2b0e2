"""A schema as CEL types, so that rules are type-checked against it when a definition is created.

Objects with properties become protobuf messages, built on the fly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cel_expr_python import cel
from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from dms_operator.devcluster.schema.cel_programs import checking
from dms_operator.devcluster.schema.cel_values import escaped

Schema = Mapping[str, Any]

_PACKAGE = "schema"
_LIBRARIES = (struct_pb2, timestamp_pb2, duration_pb2, wrappers_pb2)
_DYNAMIC = ".google.protobuf.Value"
_STRING_FORMATS = {
    "date": ".google.protobuf.Timestamp",
    "date-time": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
}
_SCALARS = {
    "boolean": (FieldDescriptorProto.TYPE_BOOL, ".google.protobuf.BoolValue"),
    "integer": (FieldDescriptorProto.TYPE_INT64, ".google.protobuf.Int64Value"),
    "number": (FieldDescriptorProto.TYPE_DOUBLE, ".google.protobuf.DoubleValue"),
    "string": (FieldDescriptorProto.TYPE_STRING, ".google.protobuf.StringValue"),
}
_VARIABLES = {
    "boolean": cel.Type.BOOL,
    "integer": cel.Type.INT,
    "number": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
}
_TIMES = {"date": cel.Type.TIMESTAMP, "date-time": cel.Type.TIMESTAMP, "duration": cel.Type.DURATION}
_IDENTITY: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
}


def checking_environment(schema: Schema, resource: bool) -> cel.Env:
    """An environment whose `self` and `oldSelf` have the type of `schema`; `resource`: it has object metadata."""
    if resource or schema.get("x-kubernetes-embedded-resource"):
        text = {"type": "string"}
        known = {"apiVersion": text, "kind": text, "metadata": _IDENTITY}
        schema = {**schema, "properties": {**schema.get("properties", {}), **known}}
    types = _Types()
    own = types.variable(schema)
    return checking({"self": own, "oldSelf": own}, types.pool())


class _Types:
    """The messages of one schema."""

    def __init__(self) -> None:
        names = [library.DESCRIPTOR.name for library in _LIBRARIES]
        self.file = FileDescriptorProto(name="schema.proto", package=_PACKAGE, syntax="proto2", dependency=names)

    def pool(self) -> DescriptorPool:
        pool = DescriptorPool()
        for library in _LIBRARIES:
            pool.AddSerializedFile(library.DESCRIPTOR.serialized_pb)
        pool.AddSerializedFile(self.file.SerializeToString())
        return pool

    def variable(self, schema: Schema) -> cel.Type:
        kind = schema.get("type")
        if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
            return cel.Type.Map(cel.Type.STRING, self.variable(schema["additionalProperties"]))
        if kind == "object":
            return cel.Type(f"{_PACKAGE}.{self._message(schema)}")
        if kind == "array":
            return cel.Type.List(self.variable(schema.get("items", {})))
        if kind == "string" and schema.get("format") in (*_TIMES, "byte"):
            return _TIMES.get(schema["format"], cel.Type.BYTES)
        return _VARIABLES.get(kind or "", cel.Type.DYN)

    def _message(self, schema: Schema) -> str:
        message = self.file.message_type.add(name=f"Object{len(self.file.message_type)}")
        name: str = message.name
        number = 0
        for property_name, below in sorted(schema.get("properties", {}).items()):
            field_name = escaped(property_name)
            if field_name is not None and _reachable(below):
                number += 1
                self._field(message, field_name, number, below)
        return name

    def _field(self, message: DescriptorProto, name: str, number: int, schema: Schema) -> None:
        rest = schema.get("additionalProperties")
        if schema.get("type") == "array":
            field_type, type_name = self._element(schema.get("items", {}))
            label = FieldDescriptorProto.LABEL_REPEATED
        elif schema.get("type") == "object" and isinstance(rest, Mapping):
            field_type, type_name = FieldDescriptorProto.TYPE_MESSAGE, self._entries(message, name, rest)
            label = FieldDescriptorProto.LABEL_REPEATED
        else:
            field_type, type_name = self._element(schema)
            label = FieldDescriptorProto.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=field_type, type_name=type_name, label=label)

    def _entries(self, message: DescriptorProto, field: str, values: Schema) -> str:
        """The entry message of a map field; protobuf insists on its name."""
        optional = FieldDescriptorProto.LABEL_OPTIONAL
        entry = message.nested_type.add(
            name="".join(part[:1].upper() + part[1:] for part in field.split("_")) + "Entry"
        )
        entry.options.map_entry = True
        field_type, type_name = self._element(values)
        entry.field.add(name="key", number=1, type=FieldDescriptorProto.TYPE_STRING, label=optional)
        entry.field.add(name="value", number=2, type=field_type, type_name=type_name, label=optional)
        return f".{_PACKAGE}.{message.name}.{entry.name}"

    def _element(self, schema: Schema) -> tuple[FieldDescriptorProto.Type.ValueType, str | None]:
        """Type and type name of one value; lists and maps in lists and maps are dynamic."""
        kind, form = schema.get("type", ""), schema.get("format", "")
        if kind == "object" and "additionalProperties" not in schema:
            return FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{self._message(schema)}"
        if kind == "string" and form in _STRING_FORMATS:
            return FieldDescriptorProto.TYPE_MESSAGE, _STRING_FORMATS[form]
        if kind == "string" and form == "byte":
            return FieldDescriptorProto.TYPE_BYTES, None
        if kind in _SCALARS:
            scalar, wrapper = _SCALARS[kind]
            return (FieldDescriptorProto.TYPE_MESSAGE, wrapper) if schema.get("nullable") else (scalar, None)
        return FieldDescriptorProto.TYPE_MESSAGE, _DYNAMIC


def _reachable(schema: Schema) -> bool:
    """Rules cannot look into what the schema does not describe."""
    described = "properties" in schema or "additionalProperties" in schema
    return described or not schema.get("x-kubernetes-preserve-unknown-fields")
