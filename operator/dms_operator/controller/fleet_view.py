"""The vehicles as a rollout sees them, made of the cached nodes: each node is read once for each of its changes."""

from datetime import datetime
from typing import Any

import orjson

from ..api import labels
from .object_cache import ObjectCache, ObjectName, Raw
from .rollout.fleet import Vehicle
from .text import parse_timestamp


def vehicle_of(node: Raw) -> Vehicle:
    """A node as a vehicle, whatever runs there."""
    metadata = node["metadata"]
    marks = metadata.get("labels") or {}
    ready, since = _ready(node)
    return Vehicle(
        name=metadata["name"],
        board=marks.get(labels.VEHICLE, ""),
        labels=marks,
        away_since=None if ready else since,
        here_since=since if ready else None,
        held=_is_held(node),
    )


def _ready(node: Raw) -> tuple[bool, datetime]:
    """Whether its kubelet says that it is ready, and since when; one that never said so, since there is such a node."""
    conditions: list[dict[str, Any]] = (node.get("status") or {}).get("conditions") or []
    ready = next((each for each in conditions if each["type"] == "Ready"), {})
    since = ready.get("lastTransitionTime") or node["metadata"]["creationTimestamp"]
    return ready.get("status") == "True", parse_timestamp(since)


def _is_held(node: Raw) -> bool:
    metadata = node["metadata"]
    marks = (metadata.get(part) or {} for part in ("labels", "annotations"))
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    return cordoned or any(each.get(labels.HOLD, "false") != "false" for each in marks)


class FleetView:
    """All vehicles of the cluster, each with what one deployment runs there.

    A rollout asks for them at each of its steps. So a vehicle is made of its node's text once, and again only when
    that text is another one.
    """

    def __init__(self, vehicles: ObjectCache) -> None:
        self._vehicles = vehicles
        self._seen_at = -1
        self._made: dict[ObjectName, tuple[bytes, Vehicle]] = {}

    def of(self, deployment: ObjectName) -> tuple[Vehicle, ...]:
        """The vehicles of a deployment's rollout to choose from."""
        self._catch_up()
        label = labels.revision_label(*deployment)
        return tuple(_with_revision(vehicle, label) for _, vehicle in self._made.values())

    def _catch_up(self) -> None:
        if self._seen_at == self._vehicles.changes:
            return
        before, self._made, self._seen_at = self._made, {}, self._vehicles.changes
        for name, text in self._vehicles.texts():
            made = before.get(name)
            known = made is not None and made[0] is text
            self._made[name] = made if known and made else (text, vehicle_of(orjson.loads(text)))


def _with_revision(vehicle: Vehicle, label: str) -> Vehicle:
    revision = vehicle.labels.get(label)
    if not revision:
        return vehicle
    # not dataclasses.replace, which takes three times as long: this is done for each vehicle of each reconcile
    return Vehicle(
        vehicle.name,
        vehicle.board,
        vehicle.labels,
        vehicle.away_since,
        vehicle.here_since,
        vehicle.held,
        revision,
    )
