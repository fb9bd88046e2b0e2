"""Checks, defaults and establishment of CustomResourceDefinition objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dms_operator.devcluster.jsonpath import is_json_path
from dms_operator.devcluster.schema.errors import FieldError, invalid, required, unsupported
from dms_operator.devcluster.schema.structural import check_schema

Definition = Mapping[str, Any]

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")


def check_definition(crd: Definition, old: Definition | None = None) -> list[FieldError]:
    """Errors that make a definition refused (422); `old` on updates."""
    spec = crd.get("spec", {})
    errors = [*_check_name(crd, spec), *_check_spec(spec), *_check_versions(spec)]
    return errors + (list(_check_update(spec, old.get("spec", {}))) if old else [])


def with_defaults(crd: Definition) -> dict[str, Any]:
    """The definition as stored: listKind, singular, conversion and an initial status filled in."""
    spec = crd.get("spec", {})
    names = spec.get("names", {})
    kind = names.get("kind", "")
    names = {"singular": kind.lower(), "listKind": f"{kind}List", **names}
    stored = [version["name"] for version in spec.get("versions", ()) if version.get("storage")]
    status = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
    spec = {"conversion": {"strategy": "None"}, **spec, "names": names}
    return {**crd, "spec": spec, "status": crd.get("status") or status}


def established(crd: Definition, now: str) -> dict[str, Any]:
    """The definition after its names were accepted: NamesAccepted and Established; unchanged when it is already."""
    status = crd.get("status") or {}
    names = crd["spec"]["names"]
    conditions = [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
    ]
    known = {condition["type"]: condition for condition in status.get("conditions") or ()}
    kept = [_same(known.get(condition["type"]), condition) for condition in conditions]
    return {**crd, "status": {**status, "conditions": kept, "acceptedNames": dict(names)}}


def _condition(kind: str, reason: str, message: str, now: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}


def _same(old: Mapping[str, str] | None, new: dict[str, str]) -> Mapping[str, str]:
    return old if old and old["status"] == new["status"] else new


def _check_name(crd: Definition, spec: Definition) -> Iterator[FieldError]:
    name = crd.get("metadata", {}).get("name", "")
    if name != f"{spec.get('names', {}).get('plural', '')}.{spec.get('group', '')}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    approved = crd.get("metadata", {}).get("annotations", {}).get("api-approved.kubernetes.io")
    if spec.get("group", "").endswith((".k8s.io", ".kubernetes.io")) and not approved:
        detail = (
            'protected groups must have approval annotation "api-approved.kubernetes.io", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
        yield required("metadata.annotations[api-approved.kubernetes.io]", detail)


def _check_spec(spec: Definition) -> Iterator[FieldError]:
    group = spec.get("group", "")
    if not group:
        yield required("spec.group")
    elif not _SUBDOMAIN.fullmatch(group):
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    if not spec.get("scope"):
        yield required("spec.scope")
    elif spec["scope"] not in ("Cluster", "Namespaced"):
        yield unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    yield from _check_names(spec.get("names", {}))


def _check_names(names: Definition) -> Iterator[FieldError]:
    for word in ("plural", "kind"):
        if not names.get(word):
            yield required(f"spec.names.{word}")
    labels = {word: names.get(word, "") for word in ("plural", "singular")}
    labels |= {word: names.get(word, "").lower() for word in ("kind", "listKind")}
    for word, label in labels.items():
        if label and not _LABEL.fullmatch(label):
            yield invalid(f"spec.names.{word}", names[word], _LABEL_RULE)
    for index, short in enumerate(names.get("shortNames", ())):
        if not _LABEL.fullmatch(short):
            yield invalid(f"spec.names.shortNames[{index}]", short, _LABEL_RULE)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _check_versions(spec: Definition) -> Iterator[FieldError]:
    versions = spec.get("versions", [])
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", [version.get("name") for version in versions], detail)
    names = [version.get("name", "") for version in versions]
    for index, version in enumerate(versions):
        if names[index] in names[:index]:
            yield invalid("spec.versions", names, "must contain unique version names")
        if not _LABEL.fullmatch(names[index]):
            yield invalid(f"spec.versions[{index}].name", names[index], _LABEL_RULE)
        yield from _check_version(version, index, single=len(versions) == 1)


def _check_version(version: Definition, index: int, single: bool) -> Iterator[FieldError]:
    """Kubernetes keeps what all versions share at the top of its internal type, and names that place."""
    schema = version.get("schema", {}).get("openAPIV3Schema")
    place = f"spec.versions[{index}]"
    if schema is None:
        yield required(f"{place}.schema.openAPIV3Schema", "schemas are required")
    else:
        yield from check_schema(
            schema, "spec.validation.openAPIV3Schema" if single else f"{place}.schema.openAPIV3Schema"
        )
    for number, column in enumerate(version.get("additionalPrinterColumns", ())):
        yield from _check_column(column, f"{'spec' if single else place}.additionalPrinterColumns[{number}]")


def _check_column(column: Definition, path: str) -> Iterator[FieldError]:
    if not column.get("name"):
        yield required(f"{path}.name")
    if not column.get("type"):
        yield required(f"{path}.type", f"must be one of {','.join(_COLUMN_TYPES)}")
    elif column["type"] not in _COLUMN_TYPES:
        yield invalid(f"{path}.type", column["type"], f"must be one of {','.join(_COLUMN_TYPES)}")
    if not column.get("jsonPath"):
        yield required(f"{path}.JSONPath")
    elif not is_json_path(column["jsonPath"]):
        yield invalid(f"{path}.JSONPath", column["jsonPath"], "must be a simple json path starting with .")


def _check_update(spec: Definition, old: Definition) -> Iterator[FieldError]:
    if spec.get("group") != old.get("group"):
        yield invalid("spec.group", spec.get("group"), "field is immutable")
    if spec.get("scope") != old.get("scope"):
        yield invalid("spec.scope", spec.get("scope"), "field is immutable")
    for word in ("plural", "kind"):
        if spec.get("names", {}).get(word) != old.get("names", {}).get(word):
            yield invalid(f"spec.names.{word}", spec.get("names", {}).get(word), "field is immutable")
