"""Objects of one resource as they were last seen: by name, and by the uid of their owner.

They are kept as JSON text. That takes a quarter of the memory of the same objects as Python values, costs the garbage
collector nothing, and what a reader gets is his own: nobody can change what others read.
"""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

Raw = Mapping[str, Any]
"""A Kubernetes object as it came over the wire (or cut down)."""

_REMEMBERED_DELETIONS = 10_000


class ObjectName(NamedTuple):
    """Namespace (empty for cluster-wide kinds) and name."""

    namespace: str
    name: str

    @classmethod
    def of(cls, body: Raw) -> "ObjectName":
        """Name of an object. One namespace has many: its name is kept once."""
        return cls(sys.intern(body["metadata"].get("namespace", "")), body["metadata"]["name"])


def owner(body: Raw) -> Mapping[str, str]:
    """The controlling owner reference, or an empty mapping."""
    references = body["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), {})


def version_of(body: Raw) -> int:
    """Resource versions are ordered decimal numbers (Kubernetes API concepts, since 1.35; etcd revisions before)."""
    return int(body["metadata"].get("resourceVersion") or 0)


@dataclass(slots=True)
class _Entry:
    version: int
    uid: str
    owner: str
    tag: str
    text: bytes
    marked: bool = False


class ObjectCache:
    """Objects of one resource, cut down to what is read."""

    def __init__(
        self,
        cut: Callable[[Raw], dict[str, Any]],
        tag: Callable[[Raw], str] = lambda body: "",
        choice: Callable[[Raw], bool] = lambda body: False,
    ) -> None:
        """`tag` gives a word about an object that can be had of all objects at once, without reading them.

        `choice` says of which objects the names are kept apart, to be had without looking at the others.
        """
        self._cut = cut
        self._tag = tag
        self._choice = choice
        self._chosen: set[ObjectName] = set()
        self._entries: dict[ObjectName, _Entry] = {}
        self._owned: defaultdict[str, set[ObjectName]] = defaultdict(set)
        self._gone: OrderedDict[str, int] = OrderedDict()
        self.changes = 0
        """Grows whenever anything that is read changes."""

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[ObjectName]:
        """Names of all objects."""
        return list(self._entries)

    def tags(self) -> Iterator[str]:
        """Tags of all objects that have one."""
        return (entry.tag for entry in self._entries.values() if entry.tag)

    def tag_of(self, name: ObjectName) -> str:
        """Tag of an object; empty when it has none or is not known."""
        entry = self._entries.get(name)
        return "" if entry is None else entry.tag

    def tagged(self, tag: str) -> list[ObjectName]:
        """Names of the objects of a tag."""
        return [name for name, entry in self._entries.items() if entry.tag == tag]

    def chosen(self) -> list[ObjectName]:
        """Names of the objects that `choice` chooses."""
        return sorted(self._chosen)

    def uid(self, name: ObjectName) -> str:
        """Uid of an object. Raises KeyError."""
        return self._entries[name].uid

    def text(self, name: ObjectName) -> bytes:
        """An object as JSON. Raises KeyError."""
        return self._entries[name].text

    def texts(self) -> Iterator[tuple[ObjectName, bytes]]:
        """All objects as JSON; the text of one that has not changed is the very same object as before."""
        return ((name, entry.text) for name, entry in self._entries.items())

    def values(self) -> Iterator[dict[str, Any]]:
        """All objects, read one by one."""
        return (_read(self._entries[name]) for name in self.names() if name in self._entries)

    def get(self, name: ObjectName) -> dict[str, Any] | None:
        """An object, or None."""
        entry = self._entries.get(name)
        return None if entry is None else _read(entry)

    def owned_by(self, uid: str) -> list[dict[str, Any]]:
        """Objects whose controlling owner has this uid."""
        return [_read(self._entries[name]) for name in sorted(self._owned.get(uid, ()))]

    def texts_owned_by(self, uid: str) -> list[bytes]:
        """Objects whose controlling owner has this uid, as JSON."""
        return [self._entries[name].text for name in self._owned.get(uid, ())]

    def put(self, body: Raw) -> bool:
        """Take over an object unless this or a newer version is known; says whether anything that we read changed.

        A late answer about an object that is known to be gone does not bring it back; one that only lost the label by
        which it is watched may come back.
        """
        name, version, uid = ObjectName.of(body), version_of(body), body["metadata"]["uid"]
        known = self._entries.get(name)
        if version < self._gone.get(uid, 0) or (known is not None and version <= known.version):
            return False
        cut = self._cut(body)
        cut["metadata"].pop("resourceVersion", None)
        entry = _Entry(version, uid, owner(cut).get("uid", ""), sys.intern(self._tag(cut)), json_text(cut))
        changed = known is None or known.uid != uid or known.text != entry.text
        if known is not None and not changed:
            entry.text = known.text  # the same object: whoever made something of it sees at once that it still holds
        self._store(name, entry)
        self._choose(name, self._choice(cut))
        self.changes += changed
        return changed

    def drop(self, body: Raw) -> bool:
        """Forget an object that is gone, but not a later one of the same name; says whether it was known."""
        name, uid = ObjectName.of(body), body["metadata"]["uid"]
        known = self._entries.get(name)
        self._remember_gone(uid, version_of(body))
        if known is None or known.uid != uid:
            return False
        self._remove(name)
        return True

    def amend(self, name: ObjectName, **metadata: Any) -> None:
        """Note what our own write has changed, until the watch tells of it."""
        entry = self._entries.get(name)
        if entry is not None:
            body = orjson.loads(entry.text)
            body["metadata"] |= metadata
            entry.text = json_text(body)
            self.changes += 1

    def mark(self, name: ObjectName) -> None:
        """Put a mark on an object, which is gone as soon as the object changes."""
        if (entry := self._entries.get(name)) is not None:
            entry.marked = True

    def is_marked(self, name: ObjectName) -> bool:
        """Whether an object carries a mark."""
        entry = self._entries.get(name)
        return entry is not None and entry.marked

    def listing(self, namespace: str | None) -> "Listing":
        """Begin to take over a list answer of one namespace, or of all (None)."""
        return Listing(self, namespace)

    def drop_unlisted(self, namespace: str | None, listed: set[ObjectName], version: int) -> list[dict[str, Any]]:
        """Forget what a list of this version did not hold; what came into being after the list stays."""
        gone = [
            name
            for name, entry in self._entries.items()
            if namespace in (None, name.namespace) and name not in listed and entry.version <= version
        ]
        return [self._forgotten(name) for name in gone]

    def _forgotten(self, name: ObjectName) -> dict[str, Any]:
        entry = self._entries[name]
        self._remember_gone(entry.uid, entry.version + 1)
        self._remove(name)
        return _read(entry)

    def _remember_gone(self, uid: str, version: int) -> None:
        self._gone[uid] = version
        if len(self._gone) > _REMEMBERED_DELETIONS:
            self._gone.popitem(last=False)

    def _store(self, name: ObjectName, entry: _Entry) -> None:
        known = self._entries.get(name)
        if known is not None and known.owner != entry.owner:
            self._remove(name)
        self._entries[name] = entry
        if entry.owner:
            self._owned[entry.owner].add(name)

    def _choose(self, name: ObjectName, is_chosen: bool) -> None:
        (self._chosen.add if is_chosen else self._chosen.discard)(name)

    def _remove(self, name: ObjectName) -> None:
        entry = self._entries.pop(name)
        self._chosen.discard(name)
        self.changes += 1
        if entry.owner:
            self._owned[entry.owner].discard(name)
            if not self._owned[entry.owner]:
                del self._owned[entry.owner]


class Listing:
    """A list answer that comes in pages. What no page held is gone."""

    def __init__(self, cache: ObjectCache, namespace: str | None) -> None:
        self._cache = cache
        self._namespace = namespace
        self._listed: set[ObjectName] = set()

    def page(self, bodies: Iterable[Raw]) -> list[Raw]:
        """Take over a page; gives the objects that came or changed."""
        changed = []
        for body in bodies:
            self._listed.add(ObjectName.of(body))
            if self._cache.put(body):
                changed.append(body)
        return changed

    def finish(self, version: int) -> list[dict[str, Any]]:
        """All pages came, of a list of this resource version; gives the objects that went."""
        return self._cache.drop_unlisted(self._namespace, self._listed, version)


def _read(entry: _Entry) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(entry.text)
    body["metadata"]["resourceVersion"] = str(entry.version)
    return body


def json_text(body: Raw) -> bytes:
    """JSON in no more memory than it needs: what orjson returns keeps its buffer, some four times as large."""
    return bytes(memoryview(orjson.dumps(body)))
