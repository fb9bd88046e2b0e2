"""`metadata.managedFields`: which manager owns which fields, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dms_operator.devcluster.fields import Path, Paths, decode, encode, shown

Object = Mapping[str, Any]


class Manager(NamedTuple):
    """The identity of an entry; `operation` is Apply or Update."""

    operation: str
    name: str
    api_version: str
    subresource: str = ""


class Owned(NamedTuple):
    """What a manager owns, when that last changed (RFC 3339), and the entry that says so, if there is one."""

    fields: Paths
    time: str
    entry: Object | None = None


Managers = dict[Manager, Owned]


def read_managers(obj: Object | None) -> Managers:
    """The entries of an object."""
    entries = ((obj or {}).get("metadata") or {}).get("managedFields") or []
    return {_manager(entry): _owned(entry) for entry in entries}


def _owned(entry: Object) -> Owned:
    return Owned(frozenset(decode(entry.get("fieldsV1", {}))), entry.get("time", ""), entry)


def _manager(entry: Object) -> Manager:
    return Manager(
        entry.get("operation", ""),
        entry.get("manager", ""),
        entry.get("apiVersion", ""),
        entry.get("subresource", ""),
    )


def with_managers(obj: Object, managers: Managers) -> dict[str, Any]:
    """The object with these entries, in Kubernetes' order; without the field when nobody owns anything."""
    ordered = sorted(managers.items(), key=lambda item: (item[0].operation, item[1].time, item[0][1:]))
    entries = [_entry(manager, owned) for manager, owned in ordered if owned.fields]
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def _entry(manager: Manager, owned: Owned) -> Object:
    if owned.entry is not None:
        return owned.entry
    entry = {
        "apiVersion": manager.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(owned.fields),
        "manager": manager.name,
        "operation": manager.operation,
        "time": owned.time,
    }
    return {**entry, "subresource": manager.subresource} if manager.subresource else entry


def describe(manager: Manager, owned: Owned) -> str:
    """A manager as conflicts name it: `"kubectl" using v1 at 2026-…`."""
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    if manager.operation == "Update":
        text += f" using {manager.api_version}" + (f" at {owned.time}" if owned.time else "")
    return text


class Taken(NamedTuple):
    """A field that another manager owns: its name, how errors describe it, the field (`.spec.size`)."""

    manager: str
    description: str
    field: str


class Conflict(Exception):
    """Fields that others own; `message` and `causes` are those of the 409 Status."""

    def __init__(self, taken: list[Taken]) -> None:
        super().__init__(taken)
        self.taken = taken

    @property
    def conflicts(self) -> list[tuple[str, str]]:
        """(manager, field) pairs."""
        return [(each.manager, each.field) for each in self.taken]

    @property
    def message(self) -> str:
        """The message of the Status."""
        if len(self.taken) == 1:
            only = self.taken[0]
            return f"Apply failed with 1 conflict: conflict with {only.description}: {only.field}"
        lines = []
        for description in sorted({each.description for each in self.taken}):
            lines.append(f"conflicts with {description}:")
            lines += [f"- {each.field}" for each in self.taken if each.description == description]
        return f"Apply failed with {len(self.taken)} conflicts: " + "\n".join(lines)

    @property
    def causes(self) -> list[dict[str, str]]:
        """`details.causes` of the Status."""
        reason = "FieldManagerConflict"
        return [
            {"reason": reason, "message": f"conflict with {each.description}", "field": each.field}
            for each in self.taken
        ]


def find_taken(managers: Managers, manager: Manager, changed: Iterable[Path]) -> list[Taken]:
    """The changed fields that others own."""
    fields = frozenset(changed)
    return [
        Taken(other.name, describe(other, owned), shown(path))
        for other, owned in managers.items()
        if other != manager
        for path in sorted(owned.fields & fields)
    ]


def hand_over(
    managers: Managers, manager: Manager, changed: Iterable[Path], removed: Iterable[Path], now: str
) -> Managers:
    """Others lose what was changed, everybody what was removed."""
    taken, gone = frozenset(changed), frozenset(removed)
    result: Managers = {}
    for other, owned in managers.items():
        fields = owned.fields - gone if other == manager else owned.fields - gone - taken
        result[other] = owned if fields == owned.fields else Owned(fields, now)
    return result
