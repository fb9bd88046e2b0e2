"""Deletion: preconditions, grace, finalizers and propagation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster import errors
from dms_operator.devcluster.defaults import strategy_of
from dms_operator.devcluster.registry.metadata import timestamp
from dms_operator.devcluster.registry.options import DeleteOptions
from dms_operator.devcluster.representation import to_api
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.storage import Record

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

Object = Mapping[str, Any]

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_ORPHANS = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)


def is_finished(info: ResourceInfo, obj: Object) -> bool:
    """Whether nothing holds an object that is being deleted any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds") and not strategy_of(info).holds_deletion(obj)


def delete(registry: Registry, info: ResourceInfo, record: Record, options: DeleteOptions) -> Object:
    """Delete or mark one object; the object, or a Status when it is gone."""
    old = record.object
    _check_preconditions(info, old, options)
    _check_again(info, old)
    marked = _marked(registry, info, old, options)
    if is_finished(info, marked):
        return _remove(registry, info, old, options)
    if marked["metadata"] == old["metadata"] or options.dry_run:
        return to_api(info, marked)
    stored = registry.store.put(info.storage, marked).object
    if info.kind == "CustomResourceDefinition":
        registry.definitions.deleted(stored)
    return to_api(info, stored)


def _remove(registry: Registry, info: ResourceInfo, old: Object, options: DeleteOptions) -> Object:
    metadata = old["metadata"]
    if not options.dry_run:
        registry.store.remove(info.storage, old)
        registry.definitions.removed(info)
    if info.returns_deleted:
        return to_api(info, old)
    return errors.success(info, metadata["name"], metadata["uid"])


def _check_preconditions(info: ResourceInfo, old: Object, options: DeleteOptions) -> None:
    metadata = old["metadata"]
    if options.uid is not None and options.uid != metadata["uid"]:
        message = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.precondition(info, metadata["name"], message)
    version = options.resource_version
    if version is not None and version != metadata["resourceVersion"]:
        message = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise errors.precondition(info, metadata["name"], message)


def _check_again(info: ResourceInfo, old: Object) -> None:
    if info.kind == "Namespace" and old["metadata"].get("deletionTimestamp"):
        message = (
            "The system is ensuring all content is removed from this namespace.  "
            "Upon completion, this namespace will automatically be purged by the system."
        )
        raise errors.precondition(info, old["metadata"]["name"], message)


def _marked(registry: Registry, info: ResourceInfo, old: Object, options: DeleteOptions) -> dict[str, Any]:
    """The object with deletionTimestamp, grace and finalizers as this deletion asks for."""
    metadata = dict(old["metadata"])
    grace = strategy_of(info).grace(old, options.grace)
    first = not metadata.get("deletionTimestamp")
    if first or grace < metadata.get("deletionGracePeriodSeconds", 0):
        if first:
            metadata["deletionTimestamp"] = timestamp(registry.clock() + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if first and "generation" in metadata:
            metadata["generation"] += 1
    finalizers = _finalizers(info, metadata.get("finalizers") or [], options)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    marked = {**old, "metadata": metadata}
    strategy_of(info).mark_deleted(marked, registry.now())
    return marked


def _finalizers(info: ResourceInfo, present: list[str], options: DeleteOptions) -> list[str]:
    policy = options.propagation
    if policy is None and (FOREGROUND in present or ORPHAN in present):
        return present
    if policy is None and info.orphans_by_default:
        options.warnings.append(_ORPHANS)
        policy = "Orphan"
    kept = [one for one in present if one not in (FOREGROUND, ORPHAN)]
    if policy == "Foreground":
        return [*kept, FOREGROUND]
    return [*kept, ORPHAN] if policy == "Orphan" else kept
