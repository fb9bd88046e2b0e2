"""Persistent volume claims: bound to a volume that fits, else given a directory of their own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dms_operator.devcluster.client import LocalClient

from .loop import Controller, Key
from .meta import Object, is_deleted, name, uid
from .quantity import parse_quantity


class ClaimController(Controller):
    """Keys: (namespace, claim). Directories of claims lie below `directory` and are never removed."""

    watched = ("persistentvolumeclaims", "persistentvolumes")

    def __init__(self, client: LocalClient, directory: Path) -> None:
        super().__init__(client)
        self._directory = directory

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A claim; every unbound claim when a volume changes."""
        if obj["kind"] == "PersistentVolumeClaim":
            return [(obj["metadata"]["namespace"], name(obj))]
        claims = self.client.list("persistentvolumeclaims")
        return [(claim["metadata"]["namespace"], name(claim)) for claim in claims if not is_bound(claim)]

    def reconcile(self, key: Key) -> float | None:
        """Bind the claim."""
        claim = self.client.get("persistentvolumeclaims", *key)
        if claim is None or is_deleted(claim) or is_bound(claim):
            return None
        candidates = [item for item in self.client.list("persistentvolumes") if fits(claim, item)]
        volume = min(candidates, key=_size, default=None)
        if volume is None and not claim["spec"].get("volumeName"):
            volume = self.client.create("persistentvolumes", None, self._provision(claim))
        if volume is not None:
            self._bind(claim, volume)
        return None

    def _bind(self, claim: Object, volume: Object) -> None:
        namespace = claim["metadata"]["namespace"]
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": namespace,
            "name": name(claim),
            "uid": uid(claim),
        }
        self.client.patch("persistentvolumes", None, name(volume), {"spec": {"claimRef": reference}})
        self.client.patch("persistentvolumes", None, name(volume), {"status": {"phase": "Bound"}}, subresource="status")
        self.client.patch("persistentvolumeclaims", namespace, name(claim), {"spec": {"volumeName": name(volume)}})
        spec = volume["spec"]
        status = {"phase": "Bound", "capacity": spec["capacity"], "accessModes": spec["accessModes"]}
        self.client.patch("persistentvolumeclaims", namespace, name(claim), {"status": status}, subresource="status")

    def _provision(self, claim: Object) -> Object:
        spec, volume = claim["spec"], f"pvc-{uid(claim)}"
        stated = {"storageClassName": spec["storageClassName"]} if spec.get("storageClassName") else {}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "hostPath": {"path": str(self._directory / volume), "type": "DirectoryOrCreate"},
                "persistentVolumeReclaimPolicy": "Retain",
                **stated,
            },
        }


def is_bound(claim: Object) -> bool:
    """Tell whether the claim has its volume."""
    return (claim.get("status") or {}).get("phase") == "Bound"


def fits(claim: Object, volume: Object) -> bool:
    """Tell whether a volume is free for the claim and large enough, of its class and access modes."""
    wanted, offered = claim["spec"], volume["spec"]
    taken = offered.get("claimRef")
    if taken and (taken.get("namespace"), taken.get("name")) != (claim["metadata"]["namespace"], name(claim)):
        return False
    if wanted.get("volumeName"):
        return bool(wanted["volumeName"] == name(volume))
    modes = set(wanted.get("accessModes") or []) <= set(offered.get("accessModes") or [])
    same_class = (wanted.get("storageClassName") or "") == (offered.get("storageClassName") or "")
    needed = parse_quantity(wanted["resources"]["requests"]["storage"])
    return modes and same_class and parse_quantity(offered["capacity"]["storage"]) >= needed


def _size(volume: Object) -> tuple[object, str]:
    return parse_quantity(volume["spec"]["capacity"]["storage"]), name(volume)
