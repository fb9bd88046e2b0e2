"""The client that runs inside the process: controllers and the kubelet use it instead of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from dms_operator.devcluster.registry import DeleteOptions, Registry, WriteOptions
from dms_operator.devcluster.registry.options import Propagation
from dms_operator.devcluster.registry.patching import MERGE_PATCH
from dms_operator.devcluster.resources import ResourceInfo
from dms_operator.devcluster.storage import EventType

Object = Mapping[str, Any]


class LocalClient:
    """Reads and writes through the registry, as `manager`. Resources are plurals (`pods`) or plural and group.

    Objects that it returns belong to the store: copy before changing. Writes raise ApiError.
    """

    def __init__(self, registry: Registry, manager: str = "dev-cluster") -> None:
        self.registry = registry
        self.manager = manager

    def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        """The object, or None."""
        record = self.registry.find(self._info(resource), namespace or "", name)
        return record.object if record else None

    def list(
        self, resource: str, namespace: str | None = None, selector: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects of one namespace or of all, whose labels equal `selector`."""
        records = self.registry.store.list(self._info(resource).storage, namespace)
        wanted = (selector or {}).items()
        return [one.object for one in records if wanted <= (one.object["metadata"].get("labels") or {}).items()]

    def find(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """The object that an owner reference names, or None."""
        info = self.registry.resources.of_kind(api_version, kind)
        record = self.registry.find(info, namespace or "", name) if info else None
        return record.object if record else None

    def resource_of(self, api_version: str, kind: str) -> ResourceInfo | None:
        """The resource that serves a kind, or None; its `storage` is a resource name for this client."""
        return self.registry.resources.of_kind(api_version, kind)

    def create(self, resource: str, namespace: str | None, obj: Object) -> Object:
        """Create the object."""
        return self.registry.create(self._info(resource), namespace or "", obj, self._options())

    def update(self, resource: str, obj: Object, subresource: str = "") -> Object:
        """Replace the object; 409 when its resourceVersion is stale."""
        metadata = obj["metadata"]
        info, namespace = self._info(resource), metadata.get("namespace", "")
        return self.registry.update(info, namespace, metadata["name"], obj, self._options(), subresource)

    def update_status(self, resource: str, obj: Object) -> Object:
        """Replace the status."""
        return self.update(resource, obj, "status")

    def patch(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        merge: Mapping[str, Any],
        subresource: str | None = None,
    ) -> Object:
        """Apply a merge patch, to the object or to a subresource (`status`, `finalize`)."""
        return self.registry.patch(
            self._info(resource),
            namespace or "",
            name,
            merge,
            MERGE_PATCH,
            self._options(),
            subresource or "",
        )

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        propagation: Propagation | None = None,
        uid: str | None = None,
        grace: int | None = None,
    ) -> Object:
        """Delete; `grace` 0 ends a pod at once."""
        options = DeleteOptions(propagation=propagation, uid=uid, grace=grace)
        return self.registry.delete(self._info(resource), namespace or "", name, options)

    async def watch(self, resources: Iterable[str] | None = None) -> AsyncIterator[tuple[EventType, str, Object]]:
        """Events as (type, resource as it was asked for, object); existing objects first, as ADDED.

        None watches everything, including resources that a CRD adds later; resources are then named as stored
        (`pods`, `jobs.batch`), which the other methods take too.
        """
        store = self.registry.store
        wanted = None if resources is None else {self._info(name).storage: name for name in resources}
        subscription = store.subscribe(wanted)
        asked = wanted or {}
        try:
            present = [(name, one) for name in wanted or store.resources() for one in store.list(name)]
            for resource, record in present:
                yield "ADDED", asked.get(resource, resource), record.object
            while not subscription.closed:
                await subscription.wait()
                while (event := subscription.take()) is not None:
                    yield event.type, asked.get(event.resource, event.resource), event.record.object
        finally:
            subscription.close()

    def _info(self, resource: str) -> ResourceInfo:
        return self.registry.resources.named(resource)

    def _options(self) -> WriteOptions:
        return WriteOptions(manager=self.manager, validation="Ignore")
