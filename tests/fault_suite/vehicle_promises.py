"""What a rollout promises, checked on every change of its Jobs and on what ran on vehicles. Pure but for memory."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dms_operator.api.labels import NODE, STAGE

MAX_UNAVAILABLE = 1
"""Vehicles that a rollout of the storm may change at a time."""
_CHANGES = ("activate", "deactivate")


class VehiclePromises:
    """Told of every Job on a vehicle that lives or has ended; writes what was broken into `violations`."""

    def __init__(self, violations: list[str]) -> None:
        self.violations = violations
        self._live: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)

    def job_changed(self, job: dict[str, Any], owner: str, *, lives: bool) -> None:
        """At most one live Job per vehicle of a deployment, and no more vehicles being changed than it allows."""
        metadata = job["metadata"]
        node = metadata["annotations"].get(NODE)
        if node is None:
            return
        live = self._live[owner]
        if not lives:
            live.pop(metadata["uid"], None)
            return
        live[metadata["uid"]] = (node, metadata["labels"][STAGE])
        if [where for where, _ in live.values()].count(node) > 1:
            self.violations.append(f"two live Jobs on {node}: {sorted(live.values())}")
        if sum(stage in _CHANGES for _, stage in live.values()) > MAX_UNAVAILABLE:
            self.violations.append(f"more than {MAX_UNAVAILABLE} vehicles are being changed: {sorted(live.values())}")


def unprepared(runs: Iterable[dict[str, Any]]) -> list[str]:
    """Activations that began before a prefetch of the same revision had ended on that vehicle, of a log of runs."""
    brought, found = set(), []
    for run in runs:
        place = (run["deployment"], run.get("node"), run.get("revision"))
        if (run["stage"], run["event"]) == ("prefetch", "end"):
            brought.add(place)
        if (run["stage"], run["event"]) == ("activate", "start") and place not in brought:
            found.append(f"{place[0]}: {place[1]} was switched to {place[2]} before it was there")
    return found
