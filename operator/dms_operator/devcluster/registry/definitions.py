"""The life of CustomResourceDefinitions: served once established, and their objects deleted with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dms_operator.devcluster.defaults.definitions import CLEANUP
from dms_operator.devcluster.resources import ResourceInfo, from_definition
from dms_operator.devcluster.schema.crd import established

if TYPE_CHECKING:
    from dms_operator.devcluster.registry.registry import Registry

STORAGE = "customresourcedefinitions.apiextensions.k8s.io"


class Definitions:
    """Reacts to writes of definitions and to removals of their objects."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def written(self, crd: Mapping[str, Any]) -> None:
        """After a create or update: accept the names and serve the versions."""
        if crd["metadata"].get("deletionTimestamp"):
            return
        accepted = established(crd, self._registry.now())
        if accepted.get("status") != crd.get("status"):
            fresh = {**accepted, "metadata": dict(crd["metadata"])}
            self._registry.store.put(STORAGE, fresh)
        spec = crd["spec"]
        self._registry.resources.remove(spec["group"], spec["names"]["plural"])
        for info in from_definition(crd):
            self._registry.resources.add(info)

    def deleted(self, crd: Mapping[str, Any]) -> None:
        """After it was marked for deletion: delete its objects, and the definition when none is left."""
        for info in list(from_definition(crd))[:1]:
            for record in self._registry.store.list(info.storage):
                metadata = record.object["metadata"]
                self._registry.delete(info, metadata.get("namespace", ""), metadata["name"])
            self._finish(info)

    def removed(self, info: ResourceInfo) -> None:
        """After an object was removed: the last object of a dying definition takes it along."""
        if info.custom:
            self._finish(info)

    def _finish(self, info: ResourceInfo) -> None:
        store = self._registry.store
        found = store.get(STORAGE, "", info.qualified)
        if found is None or not found.object["metadata"].get("deletionTimestamp") or store.list(info.storage):
            return
        metadata = dict(found.object["metadata"])
        metadata["finalizers"] = [one for one in metadata.get("finalizers") or () if one != CLEANUP]
        if metadata["finalizers"]:
            if metadata["finalizers"] != found.object["metadata"]["finalizers"]:
                store.put(STORAGE, {**found.object, "metadata": metadata})
            return
        store.remove(STORAGE, found.object)
        self._registry.resources.remove(info.group, info.plural)
        store.close_watches(info.storage)
