"""What the API serves: one ResourceInfo per group, version and plural, built in or added by a CRD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dms_operator.devcluster.builtins import BUILTINS
from dms_operator.devcluster.schema.builtin import builtin_schema

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, eq=False)
class ResourceInfo:
    """One resource of the API. `storage` names its objects in the store, shared by all its versions."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    singular: str = ""
    list_kind: str = ""
    schema: Mapping[str, Any] | None = None
    columns: Sequence[Mapping[str, Any]] | None = None
    custom: bool = False
    storage: str = ""
    generation: bool = False
    unconditional_update: bool = True
    create_on_update: bool = False
    returns_deleted: bool = False
    orphans_by_default: bool = False
    selectable: tuple[str, ...] = ()
    scale: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        derived = {
            "singular": self.singular or self.kind.lower(),
            "list_kind": self.list_kind or f"{self.kind}List",
            "storage": self.storage or self.qualified,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def qualified(self) -> str:
        """`jobs.batch`, or `pods` in the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """`Job.batch`, or `Pod` in the core group."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def api_version(self) -> str:
        """`batch/v1`, or `v1` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether status is a subresource, written apart from the rest."""
        return "status" in self.subresources

    @property
    def supported_fields(self) -> tuple[str, ...]:
        """Fields that a field selector may name."""
        common = ("metadata.name", "metadata.namespace") if self.namespaced else ("metadata.name",)
        return common + self.selectable


def _builtin(row: Mapping[str, Any]) -> ResourceInfo:
    return ResourceInfo(**row, schema=builtin_schema(row["group"], row["kind"]))


def from_definition(crd: Mapping[str, Any]) -> Iterator[ResourceInfo]:
    """The resources that a CustomResourceDefinition adds, one a served version."""
    spec = crd["spec"]
    names = spec["names"]
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        yield ResourceInfo(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=tuple(name for name in ("status", "scale") if name in subresources),
            verbs=CUSTOM_VERBS,
            singular=names.get("singular", ""),
            list_kind=names.get("listKind", ""),
            schema=(version.get("schema") or {}).get("openAPIV3Schema"),
            columns=version.get("additionalPrinterColumns"),
            custom=True,
            generation=True,
            unconditional_update=False,
            selectable=tuple(one["jsonPath"].lstrip(".") for one in version.get("selectableFields") or ()),
            scale=subresources.get("scale") or {},
        )


Tree = dict[str, dict[str, list[ResourceInfo]]]


class Resources:
    """The resources served now; looked up by path, by kind or by name. `changes` counts additions and removals."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], ResourceInfo] = {}
        self._by_kind: dict[tuple[str, str], ResourceInfo] = {}
        self._by_name: dict[str, ResourceInfo] = {}
        self.changes = 0
        self._tree: tuple[int, Tree] = (-1, {})
        for row in BUILTINS:
            self.add(_builtin(row))

    def __iter__(self) -> Iterator[ResourceInfo]:
        return iter(self._by_path.values())

    def add(self, info: ResourceInfo) -> None:
        """Serve a resource; replaces an older definition of it."""
        self.changes += 1
        self._by_path[info.group, info.version, info.plural] = info
        self._by_kind[info.api_version, info.kind] = info
        for name in (info.storage, info.qualified, info.plural):
            if name not in self._by_name or self._by_name[name].qualified == info.qualified:
                self._by_name[name] = info

    def remove(self, group: str, plural: str) -> None:
        """Stop serving a resource in all its versions."""
        self.changes += 1
        gone = [info for info in self if info.group == group and info.plural == plural]
        for info in gone:
            del self._by_path[info.group, info.version, info.plural]
            del self._by_kind[info.api_version, info.kind]
        self._by_name = {name: info for name, info in self._by_name.items() if info not in gone}

    def find(self, group: str, version: str, plural: str) -> ResourceInfo | None:
        """By what a request's path says."""
        return self._by_path.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> ResourceInfo | None:
        """By what an object or an owner reference says."""
        return self._by_kind.get((api_version, kind))

    def named(self, name: str) -> ResourceInfo:
        """By plural (`pods`) or plural and group (`widgets.demo.example`); raises KeyError."""
        return self._by_name[name]

    def versions(self) -> Tree:
        """Resources by group and version, both in order of appearance."""
        if self._tree[0] != self.changes:
            tree: Tree = {}
            for info in self:
                tree.setdefault(info.group, {}).setdefault(info.version, []).append(info)
            self._tree = (self.changes, tree)
        return self._tree[1]
