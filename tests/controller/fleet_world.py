"""A cluster with vehicles, as the planner sees it: what lies on each disk is known beside what the labels say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controller.builders import SETTINGS, World, changed, deployment, spec
from dms_operator.api.labels import revision_label
from dms_operator.api.stages import Failure, Recipe, StageResult, VehicleRecipe, recipe_digest
from dms_operator.api.vehicle import VehicleFacts
from dms_operator.controller.observation import Observed, observe
from dms_operator.controller.plan import Plan
from dms_operator.controller.revision import DIGITS
from dms_operator.controller.rollout.fleet import Fleet, Gauge, Reading, Vehicle
from dms_operator.controller.settings import Settings

FLEET_SETTINGS = changed(
    SETTINGS, fleet={"volume": {"hostPath": {"path": "/var/lib/dms"}}, "prometheus": "http://prometheus:9090"}
)
VEHICLE_STAGES = ("prefetch", "activate", "deactivate")
X86: dict[str, Any] = {"name": "car", "board": "generic-x86", "precisions": ["fp32"]}
LINES: tuple[dict[str, Any], ...] = (
    {**X86, "name": "a", "nodeSelector": {"line": "a"}},
    {**X86, "name": "b", "nodeSelector": {"line": "b"}, "precisions": ["int8"]},
)
"""Two targets of one board that load different artifacts."""
WAVES = [{"name": "lab", "size": "1"}, {"name": "canary", "size": "50%"}, {"name": "fleet", "size": "100%"}]
LABEL = revision_label("perception", "driver")


@dataclass
class FleetWorld(World):
    """Vehicles by name; a Job on a vehicle does what it is asked unless its revision is among `broken`."""

    settings: Settings = FLEET_SETTINGS
    vehicles: dict[str, Vehicle] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    disks: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    """What was compiled of the revision that each vehicle was last switched to."""
    prefetched: set[tuple[str, str]] = field(default_factory=set)
    broken: set[tuple[str, str]] = field(default_factory=set)
    """Vehicles and revisions that do not go together."""
    unfetchable: set[tuple[str, str]] = field(default_factory=set)
    """Vehicles and revisions that no prefetch brings together."""
    damages: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often a revision is still found damaged when a vehicle is to be switched to it."""
    readings: dict[Gauge, tuple[Reading, ...]] = field(default_factory=dict)
    told: dict[Gauge, dict[str, int]] = field(default_factory=dict)
    """How many readings each vehicle gave."""

    def observed(self) -> Observed:
        pairs = [(job, self.pods.get(name, [])) for name, job in self.jobs.items()]
        seen = tuple(self._with_label(each) for each in self.vehicles.values())
        return observe(self.body, pairs, self.boards, fleet=Fleet(seen, self.readings, self.told))

    def reconcile(self) -> Plan:
        for name, marks in self.plan().node_labels.items():
            self.note(name, marks[LABEL])
        return super().reconcile()

    def note(self, name: str, revision: str | None) -> None:
        """Set a vehicle's label."""
        self.labels.pop(name, None)
        if revision is not None:
            self.labels[name] = revision

    def finish(self, name: str) -> None:
        recipe = self.request(name).recipe
        if recipe.stage not in VEHICLE_STAGES:
            super().finish(name)
            return
        if not self._active(name):
            self.start(name)
        result = self.on_vehicle(recipe)
        failed = result.failure is not None
        self._end(name, 10 if failed else 0, json.dumps(result.to_wire()))
        self.conclude(name, "Failed" if failed else "Complete")

    def on_vehicle(self, recipe: Recipe) -> StageResult:
        """Do what a vehicle's stage does, as api/vehicle.py says."""
        assert isinstance(recipe, VehicleRecipe)
        node, revision = recipe.node, recipe.revision
        pair = (node, revision[:DIGITS])
        common: dict[str, Any] = {"stage": recipe.stage, "recipe": recipe_digest(recipe)}
        if recipe.stage == "activate":
            assert (node, revision) in self.prefetched, "nothing is activated that was not brought before"
            if self.damages.get(pair):
                self.damages[pair] -= 1
                self.prefetched.discard((node, revision))
                return StageResult(**common, failure=_failure("DigestMismatch", "model.onnx is not what was signed"))
            if pair in self.broken:
                return StageResult(**common, failure=_failure("GoldenMismatch", "outputs differ by 3.1"))
            self.disks[node], self.artifacts[node] = revision, recipe.compiled
        elif recipe.stage == "deactivate":
            self.disks.pop(node, None)
        elif pair in self.unfetchable:
            return StageResult(**common, failure=_failure("VehicleFolderUnusable", "/fleet may not be written"))
        else:
            self.prefetched.add((node, revision))
        there = revision if recipe.stage == "prefetch" else self.disks.get(node)
        return StageResult(**common, vehicle=VehicleFacts(node=node, revision=there))

    def settle(self, limit: int = 400) -> "FleetWorld":
        """Reconcile and finish Jobs until nothing moves any more, though time passes."""
        for _ in range(limit):
            writes, wanted = self.status_writes, self.reconcile()
            if names := self.unfinished():
                self.finish(names[0])
            elif not (wanted.delete or wanted.create or wanted.node_labels or self.status_writes > writes):
                return self
            self.tick()
        raise AssertionError(f"no end after {limit} steps: {self.status.get('rollout')}")

    def run_until_built(self) -> None:
        """Finish stages until the first Job on a vehicle is there."""
        for _ in range(100):
            if any(self.request(name).recipe.stage in VEHICLE_STAGES for name in self.jobs):
                return
            self.reconcile()
            for name in self.unfinished():
                if self.request(name).recipe.stage not in VEHICLE_STAGES:
                    self.finish(name)
            self.tick()
        raise AssertionError(f"nothing was built: {self.status.get('summary')}")

    def run_vehicle(self, name: str, until: str) -> None:
        """Finish this vehicle's Jobs alone, until a Job of the stage `until` runs there; that one is started."""
        for _ in range(20):
            self.reconcile()
            for job in self.unfinished():
                recipe = self.request(job).recipe
                if getattr(recipe, "node", "") != name:
                    continue
                if recipe.stage == until:
                    self.start(job)
                    return
                self.finish(job)
            self.tick()
        raise AssertionError(f"no {until} on {name}: {self.rollout}")

    def move(self, name: str, **fields: Any) -> None:
        """Change what is seen of a vehicle."""
        self.vehicles[name] = replace(self.vehicles[name], **fields)

    def go_away(self, name: str) -> None:
        """A vehicle's kubelet is not heard of any more."""
        self.move(name, away_since=self.now)

    def come_back(self, name: str) -> None:
        """It is heard of again."""
        self.move(name, away_since=None, here_since=self.now)

    def switching(self) -> list[str]:
        """Vehicles with a living Job that changes what runs there."""
        requests = [self.request(name).recipe for name in self.unfinished()]
        return [each.node for each in requests if each.stage in ("activate", "deactivate")]

    def revision(self) -> str:
        """The revision that the spec asks for."""
        return str(self.status["revision"]["current"])

    @property
    def rollout(self) -> dict[str, Any]:
        """status.rollout."""
        return dict(self.status.get("rollout") or {})

    def built_for(self, target: str) -> str:
        """What was compiled for a target."""
        [release] = [each for each in self.status["revision"]["releases"] if each["revision"] == self.revision()]
        return next(str(each["compiled"]) for each in release["targets"] if each["target"] == target)

    def pauses(self) -> list[str]:
        """Reasons for which nothing is started."""
        return [each["reason"] for each in self.rollout.get("pauses", [])]

    def _with_label(self, vehicle: Vehicle) -> Vehicle:
        return replace(vehicle, revision=self.labels.get(vehicle.name, ""))


def _failure(reason: str, message: str) -> Failure:
    return Failure(reason=reason, message=message, retryable=False)


def fleet_world(number: int = 4, targets: Sequence[dict[str, Any]] = (X86,), /, **rollout: Any) -> FleetWorld:
    """A deployment for x86 vehicles, and so many of them, half of them of each line."""
    body = deployment(spec(*targets, rollout={"waves": WAVES, **rollout}))
    vehicles = [Vehicle(f"car-{index}", "generic-x86", {"line": "ab"[index % 2]}) for index in range(number)]
    return FleetWorld(body, vehicles={vehicle.name: vehicle for vehicle in vehicles})
