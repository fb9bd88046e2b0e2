"""The garbage collector: dependents follow their owners, in background, in foreground, or are let go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.errors import ApiError

from .loop import Controller, Key
from .meta import Object, finalizers, is_deleted, name, uid, without_finalizer

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class GarbageCollector(Controller):
    """Watches everything. Keys: (resource, namespace, name, uid) of an object to look at."""

    watched = None

    def __init__(self, client: LocalClient) -> None:
        super().__init__(client)
        self._dependents: dict[str, set[Key]] = defaultdict(set)
        self._owners: dict[str, list[Object]] = {}

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """The object itself; what depends on one that is going; the owners of one that is gone."""
        key: Key = (resource, obj["metadata"].get("namespace") or "", name(obj), uid(obj))
        self._index(key, obj, gone=change == "DELETED")
        found = {key} if change != "DELETED" and _is_relevant(obj) else set()
        if change == "DELETED" or is_deleted(obj):
            found |= self._dependents.get(uid(obj), set())
        if change == "DELETED":
            found |= self._owner_keys(obj)
        return found

    def _index(self, key: Key, obj: Object, *, gone: bool) -> None:
        for reference in self._owners.pop(uid(obj), []):
            self._dependents[reference["uid"]].discard(key)
        references = list(obj["metadata"].get("ownerReferences") or [])
        if references and not gone:
            self._owners[uid(obj)] = references
            for reference in references:
                self._dependents[reference["uid"]].add(key)

    def _owner_keys(self, obj: Object) -> set[Key]:
        found: set[Key] = set()
        for reference in obj["metadata"].get("ownerReferences") or []:
            info = self.client.resource_of(reference["apiVersion"], reference["kind"])
            if info is not None:
                namespace = (obj["metadata"].get("namespace") or "") if info.namespaced else ""
                found.add((info.storage, namespace, reference["name"], reference["uid"]))
        return found

    def reconcile(self, key: Key) -> float | None:
        """Delete, release or finish one object."""
        resource, namespace, object_name, object_uid = key
        try:
            obj = self.client.get(resource, namespace, object_name)
        except KeyError:
            return None  # its CRD is gone, and it with it
        if obj is None or uid(obj) != object_uid:
            return None
        if is_deleted(obj) and ORPHAN in finalizers(obj):
            self._let_go(resource, obj)
        elif is_deleted(obj) and FOREGROUND in finalizers(obj):
            self._finish_foreground(resource, obj)
        elif not is_deleted(obj):
            self._collect(resource, obj)
        return None

    def _let_go(self, resource: str, owner: Object) -> None:
        """Drop the owner reference from all dependents, then the finalizer."""
        for dependent_key, dependent in self._living_dependents(uid(owner)):
            self._drop_references(dependent_key[0], dependent, {uid(owner)})
        self.client.update(resource, without_finalizer(owner, ORPHAN))

    def _finish_foreground(self, resource: str, owner: Object) -> None:
        """Delete the dependents; when none that blocks is left, let the owner go."""
        blocked = False
        for dependent_key, dependent in self._living_dependents(uid(owner)):
            reference = next(item for item in _references(dependent) if item["uid"] == uid(owner))
            blocked = blocked or bool(reference.get("blockOwnerDeletion"))
            if not is_deleted(dependent):
                self._collect(dependent_key[0], dependent)
        if not blocked or not any(self._blocks(item, uid(owner)) for item in self._living_dependents(uid(owner))):
            live = self.client.get(resource, owner["metadata"].get("namespace"), name(owner))
            if live is not None and uid(live) == uid(owner):
                self.client.update(resource, without_finalizer(live, FOREGROUND))

    def _blocks(self, dependent: tuple[Key, Object], owner: str) -> bool:
        return any(item["uid"] == owner and item.get("blockOwnerDeletion") for item in _references(dependent[1]))

    def _living_dependents(self, owner: str) -> list[tuple[Key, Object]]:
        found = []
        for key in sorted(self._dependents.get(owner, set())):
            resource, namespace, object_name, object_uid = key
            obj = self.client.get(resource, namespace, object_name)
            if obj is not None and uid(obj) == object_uid:
                found.append((key, obj))
        return found

    def _collect(self, resource: str, obj: Object) -> None:
        """Delete an object without a solid owner; of one that has some, drop the references to the others."""
        references = _references(obj)
        if not references or any(self._is_unknown(item) for item in references):
            return  # what an owner of an unserved kind is up to cannot be known
        owners = {item["uid"]: self._find_owner(item, obj) for item in references}
        solid = {key for key, owner in owners.items() if owner is not None and not _waits(owner)}
        waiting = {key for key, owner in owners.items() if owner is not None and _waits(owner)}
        if solid:
            lost = set(owners) - solid
            if lost:
                self._drop_references(resource, obj, lost)
            return
        propagation = "Foreground" if waiting and self._dependents.get(uid(obj)) else "Background"
        self._delete(resource, obj, propagation)

    def _delete(self, resource: str, obj: Object, propagation: str) -> None:
        try:
            self.client.delete(
                resource,
                obj["metadata"].get("namespace"),
                name(obj),
                propagation="Foreground" if propagation == "Foreground" else "Background",
                uid=uid(obj),
            )
        except ApiError as refusal:
            if refusal.code != 404:
                raise

    def _is_unknown(self, reference: Object) -> bool:
        return self.client.resource_of(reference["apiVersion"], reference["kind"]) is None

    def _find_owner(self, reference: Object, obj: Object) -> Object | None:
        """Return the owner that a reference names, if it still is the same object."""
        namespace = obj["metadata"].get("namespace")
        owner = self.client.find(reference["apiVersion"], reference["kind"], namespace, reference["name"])
        return owner if owner is not None and uid(owner) == reference["uid"] else None

    def _drop_references(self, resource: str, obj: Object, owners: set[str]) -> None:
        kept = [item for item in _references(obj) if item["uid"] not in owners]
        metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
        fresh = {**metadata, **({"ownerReferences": kept} if kept else {})}
        self.client.update(resource, {**obj, "metadata": fresh})


def _references(obj: Object) -> list[Object]:
    return list(obj["metadata"].get("ownerReferences") or [])


def _is_relevant(obj: Object) -> bool:
    return bool(_references(obj)) or (is_deleted(obj) and bool({FOREGROUND, ORPHAN} & set(finalizers(obj))))


def _waits(owner: Object) -> bool:
    """An owner that waits for its dependents to go."""
    return is_deleted(owner) and FOREGROUND in finalizers(owner)
