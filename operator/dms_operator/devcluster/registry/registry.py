"""Create, update, patch and apply. Deletion and CRDs have files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from dms_operator.devcluster import errors
from dms_operator.devcluster.apply import Conflict, record_update, server_side_apply
from dms_operator.devcluster.defaults import strategy_of
from dms_operator.devcluster.registry import content, deletion, metadata
from dms_operator.devcluster.registry.definitions import Definitions
from dms_operator.devcluster.registry.options import DeleteOptions, WriteOptions
from dms_operator.devcluster.registry.patching import patched
from dms_operator.devcluster.representation import from_api, to_api
from dms_operator.devcluster.resources import ResourceInfo, Resources
from dms_operator.devcluster.schema.errors import FieldError, invalid
from dms_operator.devcluster.storage import Record, Store

Object = Mapping[str, Any]
Change = Callable[[Object], dict[str, Any]]


def _copy(obj: Object) -> dict[str, Any]:
    fresh: dict[str, Any] = orjson.loads(orjson.dumps(obj))
    return fresh


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """The API's semantics over a store. All methods are synchronous and raise ApiError."""

    def __init__(self, store: Store, resources: Resources, clock: Callable[[], datetime] = _utc_now) -> None:
        self.store = store
        self.resources = resources
        self.clock = clock
        self.definitions = Definitions(self)

    def now(self) -> str:
        """The time as an API timestamp."""
        return metadata.timestamp(self.clock())

    def find(self, info: ResourceInfo, namespace: str, name: str) -> Record | None:
        """The stored record, or None."""
        return self.store.get(info.storage, namespace if info.namespaced else "", name)

    def record(self, info: ResourceInfo, namespace: str, name: str) -> Record:
        """The stored record; raises 404."""
        found = self.find(info, namespace, name)
        if found is None:
            raise errors.not_found(info, name)
        return found

    def create(self, info: ResourceInfo, namespace: str, obj: Object, options: WriteOptions | None = None) -> Object:
        """Store a new object."""
        options = options or WriteOptions()
        obj = content.with_kind(info, obj)
        content.check_identity(info, obj, namespace)
        if (obj.get("metadata") or {}).get("resourceVersion"):
            raise errors.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        stored = self._stored(info)
        fresh = self._prepared(stored, namespace, from_api(info, _copy(obj)), options)
        if self.find(info, namespace, fresh["metadata"]["name"]) is not None:
            raise errors.already_exists(info, fresh["metadata"]["name"])
        fresh = record_update(None, fresh, options.manager, "Update", "", stored.schema, self.now())
        return to_api(info, self._insert(stored, fresh, options))

    def _stored(self, info: ResourceInfo) -> ResourceInfo:
        """The resource in the version in which objects are stored: only events differ."""
        return info if info.custom else self.resources.named(info.storage)

    def _prepared(
        self, info: ResourceInfo, namespace: str, obj: dict[str, Any], options: WriteOptions
    ) -> dict[str, Any]:
        fresh = content.normalise(info, obj, options)
        metadata.for_create(info, fresh, namespace, self.clock())
        if info.namespaced:
            self._check_namespace(info, namespace, fresh["metadata"].get("name", ""))
        if info.has_status and info.custom:
            fresh.pop("status", None)
        strategy = strategy_of(info)
        strategy.prepare_create(fresh)
        strategy.admit(fresh, self, options.warnings)
        content.check(info, fresh, None)
        return fresh

    def _insert(self, info: ResourceInfo, fresh: dict[str, Any], options: WriteOptions) -> Object:
        if options.dry_run:
            return fresh
        created = self.store.put(info.storage, content.as_read(info, fresh)).object
        if info.kind == "CustomResourceDefinition":
            self.definitions.written(created)
        return created

    def _check_namespace(self, info: ResourceInfo, namespace: str, name: str) -> None:
        spaces = self.resources.named("namespaces")
        found = self.store.get("namespaces", "", namespace)
        if found is None:
            raise errors.not_found(spaces, namespace)
        if found.object["metadata"].get("deletionTimestamp"):
            message = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = FieldError(
                "metadata.namespace", "NamespaceTerminating", f"namespace {namespace} is being terminated"
            )
            raise errors.forbidden(info, name, message, [cause])

    def update(
        self,
        info: ResourceInfo,
        namespace: str,
        name: str,
        obj: Object,
        options: WriteOptions | None = None,
        subresource: str = "",
    ) -> Object:
        """Replace an object, or its status."""
        options = options or WriteOptions()
        obj = content.with_kind(info, obj)
        content.check_identity(info, obj, namespace)
        self._check_name(info, name, obj)
        existing = self.find(info, namespace, name)
        if existing is None and info.create_on_update:
            return self.create(info, namespace, obj, options)
        if existing is None:
            raise errors.not_found(info, name)
        stated = obj["metadata"].get("resourceVersion")
        if not stated and not info.unconditional_update:
            missing = FieldError(
                "metadata.resourceVersion",
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
            )
            raise errors.invalid(info, name, [missing], by_resource=True)
        fresh = from_api(info, _copy(obj))
        return to_api(info, self._write(self._stored(info), existing, fresh, stated, options, subresource))

    def _check_name(self, info: ResourceInfo, name: str, obj: Object) -> None:
        stated = (obj.get("metadata") or {}).get("name")
        if not stated:
            raise errors.invalid(info, "", [invalid("metadata.name", "", "name must be provided")])
        if stated != name:
            raise errors.bad_request(f"the name of the object ({stated}) does not match the name on the URL ({name})")

    def patch(
        self,
        info: ResourceInfo,
        namespace: str,
        name: str,
        body: Any,
        content_type: str,
        options: WriteOptions | None = None,
        subresource: str = "",
    ) -> Object:
        """Apply a JSON, merge or strategic merge patch."""
        options = options or WriteOptions()
        existing = self.record(info, namespace, name)
        before = to_api(info, existing.object)
        changed = patched(info, before, body, content_type)
        stated = (changed.get("metadata") or {}).get("resourceVersion")
        fresh = from_api(info, _copy(changed))
        return to_api(info, self._write(self._stored(info), existing, fresh, stated, options, subresource))

    def apply(
        self,
        info: ResourceInfo,
        namespace: str,
        name: str,
        body: Object,
        options: WriteOptions,
        subresource: str = "",
    ) -> tuple[Object, bool]:
        """Server-side apply; the object and whether it was created."""
        self._check_apply(info, namespace, body, options)
        existing = self.find(info, namespace, name)
        if existing is None and subresource:
            raise errors.not_found(info, name)
        wanted = content.without_nulls(_copy(body))
        wanted.setdefault("metadata", {}).setdefault("name", name)
        content.check_identity(info, wanted, namespace)
        self._check_name(info, name, wanted)
        merged = self._merged(info, existing, wanted, options, subresource)
        if existing is None:
            managers = merged["metadata"].get("managedFields")
            fresh = self._prepared(info, namespace, merged, options)
            fresh["metadata"]["managedFields"] = managers
            return self._insert(info, fresh, options), True
        managers = merged["metadata"].get("managedFields")
        stated = wanted["metadata"].get("resourceVersion")
        return self._write(info, existing, merged, stated, options, subresource, managers), False

    def _check_apply(self, info: ResourceInfo, namespace: str, body: Object, options: WriteOptions) -> None:
        if not options.manager:
            missing = FieldError("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
            raise errors.invalid_kind("meta.k8s.io", "PatchOptions", "", [missing])
        if not isinstance(body.get("metadata") or {}, dict):
            raise errors.bad_request("metadata has to be an object")
        if (body.get("metadata") or {}).get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")

    def _merged(
        self,
        info: ResourceInfo,
        existing: Record | None,
        wanted: dict[str, Any],
        options: WriteOptions,
        subresource: str,
    ) -> dict[str, Any]:
        live = existing.object if existing else None
        try:
            merged = server_side_apply(
                live, wanted, options.manager, options.force, info.schema, subresource, self.now()
            )
        except Conflict as conflict:
            raise errors.apply_conflict(conflict.conflicts) from conflict
        return _copy(merged)

    def _write(
        self,
        info: ResourceInfo,
        existing: Record,
        fresh: dict[str, Any],
        stated: str | None,
        options: WriteOptions,
        subresource: str,
        managers: list[Any] | None = None,
    ) -> Object:
        """Bring a changed object into the store; returns the stored, or the old one when nothing changed."""
        old = existing.object
        if stated and stated != old["metadata"]["resourceVersion"]:
            raise errors.stale(info, old["metadata"]["name"])
        if "spec" in old and not info.custom:
            fresh.setdefault("spec", {})
        fresh = content.normalise(info, fresh, options, subresource)
        fresh = self._restricted(info, fresh, old, subresource)
        metadata.for_update(fresh, old)
        strategy = strategy_of(info)
        strategy.prepare_update(fresh, old, subresource)
        if info.generation and metadata.content_changed(info, fresh, old):
            fresh["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        content.check(info, fresh, old, subresource)
        return self._commit(info, fresh, old, options, subresource, managers)

    def _commit(
        self,
        info: ResourceInfo,
        fresh: dict[str, Any],
        old: Object,
        options: WriteOptions,
        subresource: str,
        managers: list[Any] | None,
    ) -> Object:
        unchanged = metadata.same(fresh, old)
        if managers is not None:
            fresh["metadata"]["managedFields"] = managers
            unchanged = unchanged and metadata.same_managers(fresh, old)
        elif not unchanged:
            fresh = record_update(old, fresh, options.manager, "Update", subresource, info.schema, self.now())
        if unchanged:
            return old
        if options.dry_run:
            return fresh
        if deletion.is_finished(info, fresh):
            self.store.remove(info.storage, fresh)
            self.definitions.removed(info)
            return fresh
        stored = self.store.put(info.storage, fresh).object
        if info.kind == "CustomResourceDefinition" and not subresource:
            self.definitions.written(stored)
        return stored

    def _restricted(self, info: ResourceInfo, fresh: dict[str, Any], old: Object, subresource: str) -> dict[str, Any]:
        """What a write may touch: status only through its subresource, and nothing else there."""
        if subresource == "status":
            return strategy_of(info).status_only(fresh, old)
        if subresource == "finalize":
            return {**old, "metadata": dict(old["metadata"]), "spec": fresh.get("spec", {})}
        if info.has_status:
            fresh.pop("status", None)
            if "status" in old:
                fresh["status"] = old["status"]
        return fresh

    def delete(self, info: ResourceInfo, namespace: str, name: str, options: DeleteOptions | None = None) -> Object:
        """Delete, or mark for deletion; the object, or a Status when it is gone at once."""
        return deletion.delete(self, info, self.record(info, namespace, name), options or DeleteOptions())
