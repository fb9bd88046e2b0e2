"""A rollout that cannot be is told before any vehicle is touched, and before anything is built where that is known."""

from typing import Any, ClassVar

from controller.builders import Script, changed, world
from controller.fleet_world import FLEET_SETTINGS, WAVES, FleetWorld, fleet_world
from controller.test_rollout import next_revision
from dms_operator.api.labels import ABORT
from dms_operator.api.stages import Recipe


class TestNotForVehicles:
    SNPE: ClassVar[dict[str, Any]] = {"name": "car", "board": "qcs8255", "toolchain": "snpe-sdk"}

    def fleet(self) -> FleetWorld:
        fleet = fleet_world(2)
        fleet.edit(targets=[self.SNPE])
        for name in fleet.vehicles:
            fleet.move(name, board="qcs8255")
        return fleet

    def test_what_no_vehicle_can_run_is_refused_before_one_is_touched(self) -> None:
        fleet = self.fleet().settle()
        stalled = fleet.condition("Stalled")
        assert stalled["reason"] == "NotDeployable"
        assert "build for the same board with toolchain qnn" in stalled["message"]
        assert not fleet.prefetched and not fleet.rollout

    def test_the_condition_says_so_before_it_is_built(self) -> None:
        fleet = self.fleet()
        fleet.reconcile()
        rolled_out = fleet.condition("RolledOut")
        assert (rolled_out["status"], rolled_out["reason"]) == ("False", "NotDeployable")

    def test_vehicles_keep_what_they_run(self) -> None:
        fleet = fleet_world(2).settle()
        before = dict(fleet.labels)
        fleet.edit(targets=[self.SNPE])
        assert fleet.settle().labels == before

    def test_what_was_taken_back_still_leaves_vehicles(self) -> None:
        fleet = fleet_world(2).settle()
        stable = fleet.revision()
        fleet.edit(rollout={"waves": [{"name": "all", "size": "100%", "soak": "9h"}]})
        next_revision(fleet).settle()
        fleet.go_away("car-0")
        fleet.annotate(ABORT, fleet.revision())
        fleet.settle()
        assert fleet.labels == {"car-0": fleet.revision(), "car-1": stable}
        fleet.edit(targets=[self.SNPE])
        fleet.settle()
        fleet.come_back("car-0")
        assert set(fleet.settle().labels.values()) == {stable}


class TestGatesWithoutMetrics:
    GATES: ClassVar[list[dict[str, Any]]] = [{"metric": "p99LatencyMs", "value": 33, "interval": "1s", "count": 1}]
    TOLD = "set fleet.prometheus in its settings"

    def fleet(self, **rollout: Any) -> FleetWorld:
        fleet = fleet_world(2, **rollout)
        fleet.settings = changed(fleet.settings, fleet={"volume": {"hostPath": {"path": "/var/lib/dms"}}})
        return fleet

    def test_the_condition_says_so_before_it_is_built(self) -> None:
        fleet = self.fleet(gates=self.GATES)
        fleet.reconcile()
        rolled_out = fleet.condition("RolledOut")
        assert (rolled_out["status"], rolled_out["reason"]) == ("False", "FleetNotConfigured")
        assert self.TOLD in rolled_out["message"]

    def test_no_vehicle_is_touched(self) -> None:
        fleet = self.fleet(gates=self.GATES).settle()
        assert (fleet.pauses(), fleet.labels, fleet.prefetched) == (["GateInconclusive"], {}, set())
        assert self.TOLD in fleet.rollout["message"]

    def test_it_goes_on_once_it_is_set(self) -> None:
        fleet = self.fleet(gates=self.GATES).settle()
        fleet.settings = FLEET_SETTINGS
        assert len(fleet.settle().labels) == 1

    def test_a_rollout_without_gates_asks_for_none(self) -> None:
        assert self.fleet().settle().rollout["state"] == "Completed"

    def test_a_fleet_that_has_the_revision_already_stays_ready(self) -> None:
        fleet = self.fleet().settle()
        fleet.edit(rollout={"waves": WAVES, "gates": self.GATES})
        assert fleet.settle().status["phase"] == "Ready"


def test_without_a_folder_on_vehicles_the_message_says_what_to_set() -> None:
    done = world(rollout={"waves": [{"name": "fleet", "size": "100%"}]}).run()
    assert done.condition("Stalled")["reason"] == "FleetNotConfigured"
    assert "fleet.volume" in done.condition("Stalled")["message"]


class Estimating(Script):
    """Convert makes what no vehicle can load."""

    def _facts(self, recipe: Recipe) -> dict[str, Any]:
        facts = super()._facts(recipe)
        if recipe.stage == "convert":
            facts["compiled"] = facts["compiled"].model_copy(update={"deployable": False})
        return facts


def test_an_estimate_is_refused_by_the_options_own_name() -> None:
    fleet = fleet_world(2)
    fleet.script = Estimating()
    stalled = fleet.settle().condition("Stalled")
    assert stalled["reason"] == "NotDeployable"
    assert "compile it without option estimate-only" in stalled["message"]
