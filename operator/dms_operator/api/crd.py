"""The CustomResourceDefinition, generated from the pydantic types (`dms crd` prints it as YAML).

A structural schema has no `$ref`, no `anyOf` around null, no titles; every object lists its properties.
"""

from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema

from .labels import GROUP, KIND, PLURAL, VERSION
from .patterns import WORDS
from .quantities import ABOVE_ZERO
from .rules import (
    QUANTITIES,
    above_zero_rule,
    gate_rules,
    pattern_rule,
    quantity_rule,
    spec_rules,
    target_rules,
    wave_rule,
)
from .spec import DeploymentSpec
from .status import DeploymentStatus

Schema = dict[str, Any]
Place = Literal["field", "list", "status"]
"""Where a schema stands: in spec outside of lists, in spec inside a list, or in status (which needs no rules)."""

_KEPT = (
    "type", "description", "enum", "pattern", "format", "default", "required",
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
)  # fmt: skip

NOT_OBSERVED = -1
"""A generation that no object has."""

COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Phase", "string", ".status.phase", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Revision", "string", ".status.revision.current", 0),
    ("Targets", "string", ".status.summary.targets", 0),
    ("Precision", "string", ".status.summary.precision", 0),
    ("P99", "string", ".status.summary.p99", 0),
    ("Drop", "string", ".status.summary.drop", 0),
    ("Wave", "string", ".status.summary.wave", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Method", "string", ".status.summary.method", 1),
    ("Provenance", "string", ".status.summary.provenance", 1),
    ("Message", "string", ".status.summary.message", 1),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as a JSON value."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["dmsd"],
                "categories": ["dms"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": "A driver-monitoring model on its way from a trained network to the chips of a fleet.",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": spec_schema(),
                    "status": status_schema(),
                },
            }
        },
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": priority} if priority else {})


def spec_schema() -> Schema:
    """Structural schema of `spec` with its CEL rules."""
    schema = _structural(DeploymentSpec, "field")
    targets = schema["properties"]["targets"]["items"]
    targets["x-kubernetes-validations"] = [rule.to_wire() for rule in target_rules()]
    rollout = schema["properties"]["rollout"]["properties"]
    rollout["waves"]["x-kubernetes-validations"] = [wave_rule().to_wire()]
    rollout["gates"]["items"]["x-kubernetes-validations"] = [rule.to_wire() for rule in gate_rules()]
    schema["x-kubernetes-validations"] = [rule.to_wire() for rule in spec_rules()]
    return schema


def status_schema() -> Schema:
    """Structural schema of `status`.

    The default tells kstatus, and with it Flux and others, that an object which the operator has not seen yet is in
    progress: without any status it would count as done.
    """
    return _structural(DeploymentStatus, "status") | {"default": {"observedGeneration": NOT_OBSERVED}}


def _structural(model: type[DeploymentSpec] | type[DeploymentStatus], place: Place) -> Schema:
    raw = model.model_json_schema(by_alias=True, mode="validation", schema_generator=GenerateJsonSchema)
    return _convert(raw, raw.get("$defs", {}), place=place)


def _convert(node: Schema, definitions: dict[str, Schema], *, place: Place) -> Schema:
    node = _resolved(node, definitions)
    result = {key: _without_null(node[key]) for key in _KEPT if node.get(key) is not None}
    if "const" in node:
        result["enum"] = [node["const"]]
    if place == "status":
        # The operator alone writes it. A definition that is older than the operator must not refuse its new words:
        # the deployment would be stuck, while fields that it does not know are only dropped.
        result.pop("enum", None)
    if result.get("pattern") in QUANTITIES:
        return _quantity(result, node.get(ABOVE_ZERO), place=place)
    if place != "status" and result.get("pattern") in WORDS:
        result["x-kubernetes-validations"] = [pattern_rule(result.pop("pattern")).to_wire()]
    if "exclusiveMinimum" in node:
        result |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    if "properties" in node:
        result["properties"] = {
            name: _convert(child, definitions, place=place) for name, child in node["properties"].items()
        }
    elif node.get("type") == "object":
        result["additionalProperties"] = _map_values(node, definitions, place)
    if "items" in node:
        result["items"] = _convert(node["items"], definitions, place=_inside(place))
    return result


def _without_null(value: Any) -> Any:
    """Drop unset fields of an object's default: null is no value of theirs."""
    if not isinstance(value, dict):
        return value
    return {key: _without_null(member) for key, member in value.items() if member is not None}


def _map_values(node: Schema, definitions: dict[str, Schema], place: Place) -> Schema:
    values = node.get("additionalProperties")
    if not isinstance(values, dict):
        values = next(iter(node.get("patternProperties", {}).values()))
    return _convert(values, definitions, place=_inside(place))


def _inside(place: Place) -> Place:
    return "status" if place == "status" else "list"


def _quantity(schema: Schema, zero: str | None, *, place: Place) -> Schema:
    """A unit rule instead of a pattern, because its message can say what to write.

    Outside of lists a bare number is let through to the rule, whose message beats a type error. Inside a list the API
    server would estimate the rule's cost for strings without bound, times the list's length, and refuse the CRD.
    `zero`: what is told of a 0 where none is taken.
    """
    kind = QUANTITIES[schema.pop("pattern")]
    if place == "status":
        return schema
    if place == "field":
        del schema["type"]
        schema["x-kubernetes-int-or-string"] = True
    rules = [quantity_rule(kind, may_be_number=place == "field"), *([above_zero_rule(zero)] if zero else [])]
    schema["x-kubernetes-validations"] = [rule.to_wire() for rule in rules]
    return schema


def _resolved(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follow `$ref` and the non-null branch of an optional, keeping what stands beside them (description, default)."""
    while "$ref" in node or "anyOf" in node or "allOf" in node:
        beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf", "allOf")}
        if "$ref" in node:
            inner = definitions[node["$ref"].rsplit("/", 1)[1]]
        else:
            branches = [branch for branch in node.get("anyOf") or node["allOf"] if branch.get("type") != "null"]
            if len(branches) != 1:
                raise TypeError(f"a structural schema cannot express a choice of types: {node}")
            inner = branches[0]
        node = inner | beside
    return node
