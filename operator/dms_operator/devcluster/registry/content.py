"""The content of an object: does it fit the request, and is it valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dms_operator.devcluster import errors
from dms_operator.devcluster.defaults import strategy_of
from dms_operator.devcluster.names import metadata_errors
from dms_operator.devcluster.registry.metadata import update_errors
from dms_operator.devcluster.registry.options import WriteOptions
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.schema.cel import validate_rules
from dms_operator.devcluster.schema.defaulting import apply_defaults
from dms_operator.devcluster.schema.errors import FieldError, blocks_rules, incomplete
from dms_operator.devcluster.schema.prune import prune
from dms_operator.devcluster.schema.times import normalise_times
from dms_operator.devcluster.schema.validate import validate

_KEPT_NULLS = frozenset({"lastProbeTime", "eventTime"})  # Go types without omitempty that the API shows as null


def with_kind(info: ResourceInfo, obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object with its kind; built-in ones need not say it, as the path does."""
    stated = {name: obj[name] for name in ("apiVersion", "kind") if obj.get(name)}
    return obj if info.custom else {"apiVersion": info.api_version, "kind": info.kind, **obj, **stated}


def check_identity(info: ResourceInfo, obj: Mapping[str, Any], namespace: str) -> None:
    """Raise 400 when the object is not of the kind or namespace that the path says."""
    version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    if (version, kind) != (info.api_version, info.kind):
        raise errors.bad_request(_mismatch(info, version, kind))
    metadata = obj.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise errors.bad_request(f'{kind} in version "{info.version}" cannot be handled as a {kind}: bad metadata')
    stated = (metadata or {}).get("namespace")
    if stated and stated != namespace:
        message = "the namespace of the provided object does not match the namespace sent on the request"
        raise errors.bad_request(message)


def _mismatch(info: ResourceInfo, version: str, kind: str) -> str:
    if not kind:
        return f"Object 'Kind' is missing in '{info.kind}'"
    if info.custom and version != info.api_version:
        return f"the API version in the data ({version}) does not match the expected API version ({info.api_version})"
    if info.custom:
        return f"the kind in the data ({kind}) does not match the expected kind ({info.kind})"
    short = version.rpartition("/")[2]
    group = info.group.partition(".")[0] or "core"
    return (
        f'{kind} in version "{short}" cannot be handled as a {info.kind}: '
        f"converting ({short}.{kind}) to ({group}.{info.kind}): unknown conversion"
    )


def without_nulls(value: Any) -> Any:
    """What Go decodes: a null is as good as absent."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None or k in _KEPT_NULLS}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def normalise(info: ResourceInfo, obj: dict[str, Any], options: WriteOptions, subresource: str = "") -> dict[str, Any]:
    """The object without unknown fields and with its defaults.

    Raises 400 on unknown fields when Strict and on metadata of wrong types, and 422 when a built-in object does
    not fit its schema: its strategy may rely on that. Custom objects are validated by `check`.
    """
    _check_metadata_types(info, obj.get("metadata") or {})
    normalise_times(info.group, info.kind, obj)
    if not info.custom:
        obj = without_nulls(obj)
    if info.schema is None:
        return obj
    pruned, unknown = prune(info.schema, obj)
    _report(info, unknown, options)
    defaulted = dict(apply_defaults(info.schema, pruned))
    if not info.custom and (found := _schema_errors(info, defaulted, subresource)):
        raise errors.invalid(info, obj.get("metadata", {}).get("name", ""), found)
    return defaulted


def as_read(info: ResourceInfo, obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it is read back: a custom object's defaults are filled in again, those of status too.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting
    """
    return dict(apply_defaults(info.schema, obj)) if info.custom and info.schema is not None else obj


def _check_metadata_types(info: ResourceInfo, metadata: Any) -> None:
    shapes = {"name": str, "generateName": str, "finalizers": list, "ownerReferences": list}
    wrong = [name for name, shape in shapes.items() if not isinstance(metadata.get(name) or shape(), shape)]
    wrong += [name for name in ("labels", "annotations") if not _is_text_map(metadata.get(name) or {})]
    if wrong:
        raise errors.bad_request(
            f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: json: cannot unmarshal '
            f"into Go struct field ObjectMeta.metadata.{wrong[0]}"
        )


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for part in value.values())


def _report(info: ResourceInfo, unknown: list[str], options: WriteOptions) -> None:
    texts = [f'unknown field "{path}"' for path in unknown]
    if texts and options.validation == "Strict":
        joined = ", ".join(texts)
        raise errors.bad_request(
            f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: '
            f"strict decoding error: {joined}"
        )
    if options.validation == "Warn":
        options.warnings += texts


def _schema_errors(info: ResourceInfo, obj: Mapping[str, Any], subresource: str) -> list[FieldError]:
    schema = info.schema or {}
    if not info.custom:  # nulls in it are our own: Go types that are always shown
        obj = {name: value for name, value in obj.items() if value is not None}
    if subresource != "status":
        skipped = ("status",) if info.has_status else ()
        return validate(schema, {name: value for name, value in obj.items() if name not in skipped})
    status = schema.get("properties", {}).get("status")
    if status is None or "status" not in obj:
        return []
    found = validate(status, obj["status"])
    return [error._replace(field=f"status.{error.field}" if error.field else "status") for error in found]


def _has_rules(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return "x-kubernetes-validations" in schema or any(_has_rules(part) for part in schema.values())
    return isinstance(schema, list) and any(_has_rules(part) for part in schema)


def check(info: ResourceInfo, new: Mapping[str, Any], old: Mapping[str, Any] | None, subresource: str = "") -> None:
    """Raise 422 when the object is invalid. Errors that the old version had as well do not count (ratcheting)."""
    found = _metadata_errors(info, new, old)
    if info.schema is not None and info.custom:
        found += _unless_old(_schema_errors(info, new, subresource), info, old, subresource)
    found += strategy_of(info).validate(new, old)
    if info.schema is not None and info.custom:
        if not found:
            found = validate_rules(info.schema, new, old)
        elif _has_rules(info.schema):
            found += [incomplete()] if blocks_rules(found) else validate_rules(info.schema, new, old)
    if found:
        raise errors.invalid(info, new["metadata"].get("name", ""), found)


def _metadata_errors(info: ResourceInfo, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[FieldError]:
    if old is None:
        return metadata_errors(info.plural, new["metadata"])
    changed = update_errors(new["metadata"], old["metadata"])
    return (
        changed
        + changed
        + [error for error in metadata_errors(info.plural, new["metadata"]) if error.field != "metadata.name"]
    )


def _unless_old(
    found: list[FieldError], info: ResourceInfo, old: Mapping[str, Any] | None, subresource: str
) -> list[FieldError]:
    if not found or old is None:
        return found
    before = _schema_errors(info, old, subresource)
    return [error for error in found if error not in before]
