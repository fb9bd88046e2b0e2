"""Vehicles that are away, parked, cordoned, or that no pod gets onto: none of them takes a revision off the others."""

from datetime import timedelta

from controller.fleet_world import FleetWorld, fleet_world
from dms_operator.api.labels import ABORT

ONE_WAVE = [{"name": "fleet", "size": "100%"}]


def built(number: int = 4, /, **rollout: object) -> FleetWorld:
    fleet = fleet_world(number, **{"waves": ONE_WAVE, **rollout})
    fleet.run_until_built()
    return fleet


def node_of(fleet: FleetWorld, job: str) -> str:
    return str(getattr(fleet.request(job).recipe, "node", ""))


class TestAway:
    def test_a_car_that_is_parked_for_less_than_the_grace_takes_nothing_back(self) -> None:
        fleet = built(1)
        fleet.tick(600)
        fleet.go_away("car-0")
        fleet.reconcile()
        assert fleet.pauses() == ["NoVehicle"]
        assert "car-0" in fleet.rollout["message"]
        fleet.tick(3500)
        fleet.reconcile()
        assert fleet.rollout["state"] == "Updating"
        fleet.come_back("car-0")
        assert fleet.settle().rollout["state"] == "Completed"

    def test_nor_does_one_that_holds_the_only_slot(self) -> None:
        fleet = built(3, maxUnavailable="1", offlinePolicy={"grace": "2h"})
        fleet.run_vehicle("car-1", "activate")
        for _ in range(4):
            for job in fleet.unfinished():
                if node_of(fleet, job) != "car-1":
                    fleet.finish(job)
            fleet.reconcile()
        fleet.go_away("car-1")
        fleet.tick(3700)
        fleet.reconcile()
        assert (fleet.rollout["state"], fleet.pauses()) == ("Updating", ["NoVehicle"])
        fleet.come_back("car-1")
        assert fleet.settle().rollout["state"] == "Completed"

    def test_one_that_does_not_come_back_from_its_switch_counts_as_failed(self) -> None:
        fleet = built(3, maxUnavailable="1")
        fleet.run_vehicle("car-1", "activate")
        fleet.go_away("car-1")
        for _ in range(4):
            for job in fleet.unfinished():
                if node_of(fleet, job) != "car-1":
                    fleet.finish(job)
            fleet.reconcile()
        fleet.tick(3600)
        fleet.reconcile()
        assert fleet.rollout["state"] == "RolledBack"
        assert "car-1: it went away while it was switched" in fleet.rollout["message"]

    def test_within_the_budget_the_others_go_on_without_it(self) -> None:
        fleet = built(3, maxUnavailable="1", failurePolicy={"maxFailures": "1"})
        fleet.run_vehicle("car-1", "activate")
        fleet.go_away("car-1")
        fleet.tick(3600)
        for _ in range(12):
            for job in fleet.unfinished():
                if node_of(fleet, job) != "car-1":
                    fleet.finish(job)
            fleet.reconcile()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Completed", 1)
        fleet.come_back("car-1")
        assert set(fleet.settle().labels) == {"car-0", "car-1", "car-2"}


class TestStuck:
    def test_a_vehicle_that_no_pod_gets_onto_counts_as_failed_and_holds_no_slot(self) -> None:
        fleet = built(3, maxUnavailable="1", failurePolicy={"maxFailures": "1"}, progressDeadline="30m")
        for _ in range(4):
            for job in fleet.unfinished():
                if "prefetch" in job:
                    fleet.finish(job)
            fleet.reconcile()
        [stuck] = fleet.switching()
        fleet.tick(1800)
        for _ in range(12):
            fleet.reconcile()
            for job in fleet.unfinished():
                if node_of(fleet, job) != stuck:
                    fleet.finish(job)
        assert (fleet.rollout["state"], len(fleet.labels)) == ("Completed", 2)
        assert fleet.rollout["failedVehicles"][0]["node"] == stuck
        assert "has not started for 30m" in fleet.rollout["failedVehicles"][0]["message"]
        assert len(fleet.settle().labels) == 3, "its pod starts at last"

    def test_time_that_it_was_away_does_not_count(self) -> None:
        fleet = built(1, progressDeadline="30m")
        fleet.go_away("car-0")
        fleet.reconcile()
        fleet.tick(3000)
        fleet.come_back("car-0")
        fleet.reconcile()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Updating", 0)

    def test_a_rollback_ends_without_it_and_brings_back_the_others(self) -> None:
        fleet = fleet_world(3, waves=ONE_WAVE, maxUnavailable="1").settle()
        stable = fleet.revision()
        fleet.edit(model={"uri": "file:///models/other.pt2"})
        fleet.settle()
        fleet.edit(
            model={"uri": "file:///models/third.pt2"},
            rollout={"waves": [{"name": "some", "size": "3", "soak": "9h"}], "maxUnavailable": "1"},
        )
        fleet.settle()
        bad = fleet.revision()
        assert set(fleet.labels.values()) == {bad}
        fleet.annotate(ABORT, bad)
        for _ in range(12):
            fleet.reconcile()
            for job in fleet.unfinished():
                if "prefetch" in job:
                    fleet.finish(job)
        [stuck] = fleet.switching()
        fleet.tick(3600)
        for _ in range(20):
            fleet.reconcile()
            for job in fleet.unfinished():
                if node_of(fleet, job) != stuck:
                    fleet.finish(job)
        assert fleet.rollout["state"] == "RolledBack"
        assert "could not be brought back: 1" in fleet.rollout["message"]
        assert sorted(fleet.labels.values()).count(bad) == 1
        assert stable not in fleet.labels.values()


def test_an_operator_that_was_away_for_longer_than_the_deadline_takes_nothing_back() -> None:
    fleet = built(3, maxUnavailable="1", progressDeadline="30m")
    for _ in range(3):
        for job in fleet.unfinished():
            fleet.finish(job)
        fleet.tick(7200)
        fleet.reconcile()
        fleet.reconcile()
        assert fleet.rollout["state"] == "Updating"
    assert fleet.settle().rollout["state"] == "Completed"


def test_vehicles_on_their_way_are_not_exchanged_for_others_that_come_back() -> None:
    fleet = fleet_world(6, waves=[{"name": "lab", "size": "2", "soak": "9h"}], maxUnavailable="6")
    order = [name for name in fleet.settle().vehicles if name in fleet.labels]
    for first in order:
        again = fleet_world(6, waves=[{"name": "lab", "size": "2", "soak": "9h"}], maxUnavailable="6")
        again.move(first, away_since=again.now - timedelta(hours=2))
        again.run_until_built()
        for _ in range(3):
            again.reconcile()
            for job in again.unfinished():
                if "activate" not in job:
                    again.finish(job)
        again.come_back(first)
        again.settle()
        assert (first in again.labels, len(again.labels)) == (False, 2)
