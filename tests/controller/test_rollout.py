"""A revision goes over the fleet in waves, stops where it should, and finds its way back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from controller.builders import ENTRY, world
from controller.fleet_world import VEHICLE_STAGES, FleetWorld, fleet_world
from dms_operator.api.labels import ABORT, APPROVE, RETRY
from dms_operator.controller.rollout.fleet import Gauge, Reading
from dms_operator.controller.rollout.plan import readings_wanted


def next_revision(fleet: FleetWorld) -> FleetWorld:
    """Ask for other bytes, and build them as far as the first Job on a vehicle."""
    fleet.edit(model={"uri": "file:///models/other.pt2"})
    fleet.reconcile()
    fleet.run_until_built()
    return fleet


class TestForward:
    def test_all_vehicles_run_the_revision_and_it_becomes_stable(self) -> None:
        done = fleet_world().settle()
        assert set(done.disks.values()) == set(done.labels.values()) == {done.revision()}
        assert len(done.labels) == 4
        assert done.status["phase"] == "Ready"
        assert done.status["revision"]["stable"] == done.revision()
        assert done.rollout["state"] == "Completed"
        assert done.condition("RolledOut")["status"] == "True"
        assert done.jobs.keys() == {name for name in done.jobs if not any(s in name for s in ("fetch", "activate"))}

    def test_no_more_vehicles_are_switched_at_once_than_allowed(self) -> None:
        fleet = fleet_world(12, waves=[{"name": "fleet", "size": "100%"}], maxUnavailable="25%")
        most = 0
        for _ in range(200):
            fleet.reconcile()
            most = max(most, len(fleet.switching()))
            for name in [each for each in fleet.unfinished() if "activate" not in each] or fleet.unfinished():
                fleet.finish(name)
            fleet.tick()
        assert most == 3
        assert fleet.rollout["state"] == "Completed"

    def test_a_wave_that_soaks_starts_nothing(self) -> None:
        fleet = fleet_world(waves=[{"name": "lab", "size": "1", "soak": "1h"}, {"name": "fleet", "size": "100%"}])
        fleet.settle()
        assert (fleet.rollout["state"], len(fleet.labels), fleet.status["phase"]) == ("Soaking", 1, "RollingOut")
        fleet.tick(3600)
        assert len(fleet.settle().labels) == 4

    def test_a_manual_wave_waits_for_its_approval(self) -> None:
        waves = [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
        fleet = fleet_world(waves=waves).settle()
        assert (fleet.pauses(), len(fleet.labels)) == (["ApprovalRequired"], 1)
        fleet.annotate(APPROVE, f"{fleet.revision()}/lab")
        assert len(fleet.settle().labels) == 1
        fleet.annotate(APPROVE, f"{fleet.revision()}/fleet")
        assert fleet.settle().rollout["state"] == "Completed"

    def test_outside_its_window_nothing_starts(self) -> None:
        fleet = fleet_world(window={"start": "22:00", "end": "04:00"}).settle()
        assert (fleet.pauses(), fleet.labels) == (["OutsideWindow"], {})
        fleet.tick(10 * 3600)
        assert fleet.settle().rollout["state"] == "Completed"

    def test_a_window_that_is_closed_is_told_with_its_time_zone_and_days(self) -> None:
        span = {"start": "01:00", "end": "01:01", "timeZone": "Europe/Berlin", "days": ["Sun", "Sat"]}
        fleet = fleet_world(window=span).settle()
        assert fleet.rollout["pauses"][0]["message"] == "updates start at 01:00 (Europe/Berlin, Sat Sun)"

    def test_an_approval_is_asked_for_by_the_whole_command(self) -> None:
        fleet = fleet_world(waves=[{"name": "lab", "size": "1", "approval": "Manual"}]).settle()
        name = fleet.body["metadata"]["name"]
        assert f"kubectl dms rollout approve {name}, or annotation" in fleet.rollout["pauses"][0]["message"]

    def test_a_fleet_without_vehicles_is_never_rolled_out(self) -> None:
        fleet = fleet_world(0).settle()
        assert fleet.pauses() == ["NoVehicle"]
        assert fleet.condition("Ready")["status"] == "False"

    def test_a_new_vehicle_gets_the_revision_after_the_rollout(self) -> None:
        fleet = fleet_world().settle()
        fleet.vehicles["new"] = replace(fleet.vehicles["car-0"], name="new")
        fleet.settle()
        assert fleet.labels["new"] == fleet.revision()
        assert fleet.status["phase"] == "Ready"

    def test_suspended_nothing_starts(self) -> None:
        fleet = fleet_world()
        next_state = fleet.settle().labels
        assert next_state
        fleet.edit(suspend=True)
        fleet.vehicles["new"] = replace(fleet.vehicles["car-0"], name="new")
        assert "new" not in fleet.settle().labels


class TestDeferred:
    def test_a_vehicle_that_is_away_holds_nobody_up_and_catches_up(self) -> None:
        fleet = fleet_world()
        fleet.vehicles["car-1"] = replace(fleet.vehicles["car-1"], away_since=fleet.now - timedelta(hours=2))
        fleet.settle()
        assert fleet.rollout["state"] == "Completed"
        assert (fleet.rollout["vehicles"]["offline"], "car-1" in fleet.labels) == (1, False)
        fleet.vehicles["car-1"] = replace(fleet.vehicles["car-1"], away_since=None)
        assert fleet.settle().labels["car-1"] == fleet.revision()

    def test_a_held_vehicle_is_left_alone(self) -> None:
        fleet = fleet_world()
        fleet.vehicles["car-2"] = replace(fleet.vehicles["car-2"], held=True)
        fleet.settle()
        assert "car-2" not in fleet.disks
        assert fleet.rollout["vehicles"]["held"] == 1


class TestBack:
    def test_a_failed_vehicle_takes_the_first_revision_off_the_others(self) -> None:
        fleet = fleet_world()
        fleet.run_until_built()
        fleet.broken = {("car-0", fleet.revision()), ("car-1", fleet.revision())}
        fleet.settle()
        assert fleet.rollout["state"] == "RolledBack"
        assert (fleet.disks, fleet.labels) == ({}, {})
        assert fleet.condition("Stalled")["reason"] == "RolledBack"

    def test_the_fleet_goes_back_to_the_stable_revision_and_stays_there(self) -> None:
        fleet = fleet_world().settle()
        stable = fleet.revision()
        next_revision(fleet)
        fleet.broken = {(name, fleet.revision()) for name in ("car-0", "car-3")}
        fleet.settle()
        assert fleet.revision() != stable
        assert set(fleet.disks.values()) == set(fleet.labels.values()) == {stable}
        assert fleet.status["revision"]["stable"] == stable
        assert fleet.rollout["refused"] == [fleet.revision()]
        fleet.tick(7200)
        assert set(fleet.settle().labels.values()) == {stable}

    def test_a_retry_that_names_the_revision_tries_it_again(self) -> None:
        fleet = fleet_world().settle()
        next_revision(fleet)
        fleet.broken = {(name, fleet.revision()) for name in fleet.vehicles}
        fleet.settle()
        fleet.broken = set()
        fleet.annotate(RETRY, f"{fleet.revision()}/2")
        fleet.settle()
        assert set(fleet.labels.values()) == {fleet.revision()}
        assert fleet.status["phase"] == "Ready"

    def test_an_abort_takes_a_revision_back(self) -> None:
        fleet = fleet_world().settle()
        stable = fleet.revision()
        fleet.edit(rollout={"waves": [{"name": "lab", "size": "2", "soak": "1h"}, {"name": "all", "size": "100%"}]})
        fleet.settle()
        next_revision(fleet).settle()
        assert (fleet.rollout["state"], fleet.pauses()) == ("Soaking", [])
        fleet.annotate(ABORT, fleet.revision())
        fleet.settle()
        assert (fleet.rollout["state"], set(fleet.disks.values())) == ("RolledBack", {stable})

    def test_failures_within_the_budget_hold_nobody_up(self) -> None:
        fleet = fleet_world(failurePolicy={"maxFailures": "1"})
        fleet.run_until_built()
        fleet.broken = {("car-0", fleet.revision())}
        fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Completed", 1)

    def test_a_policy_of_pause_waits_for_a_person(self) -> None:
        fleet = fleet_world(failurePolicy={"action": "Pause"})
        fleet.run_until_built()
        fleet.broken = {(name, fleet.revision()) for name in fleet.vehicles}
        fleet.settle()
        assert fleet.pauses() == ["FailureBudgetExceeded"]
        fleet.broken = set()
        fleet.annotate(RETRY, "once more")
        assert fleet.settle().rollout["state"] == "Completed"

    def test_a_rollback_waits_for_no_window(self) -> None:
        fleet = fleet_world(window={"start": "12:00", "end": "12:30"})
        fleet.run_until_built()
        fleet.broken = {("car-0", fleet.revision()), ("car-1", fleet.revision())}
        while fleet.rollout["state"] != "RollingBack":
            for name in fleet.unfinished():
                fleet.finish(name)
            fleet.reconcile()
        fleet.tick(3600)
        assert fleet.settle().rollout["state"] == "RolledBack"
        assert fleet.disks == {}

    def test_a_rollback_goes_on_while_another_revision_is_built(self) -> None:
        fleet = fleet_world().settle()
        stable = fleet.revision()
        next_revision(fleet)
        fleet.annotate(ABORT, fleet.revision())
        fleet.edit(model={"uri": "file:///models/third.pt2"})
        for _ in range(60):
            fleet.reconcile()
            for name in fleet.unfinished():
                if fleet.request(name).recipe.stage in VEHICLE_STAGES:
                    fleet.finish(name)
            fleet.tick()
        assert (fleet.rollout["state"], set(fleet.labels.values())) == ("RolledBack", {stable})

    def test_a_vehicle_that_cannot_go_back_is_told(self) -> None:
        fleet = fleet_world().settle()
        stable = fleet.revision()
        next_revision(fleet)
        fleet.broken = {(name, fleet.revision()) for name in ("car-0", "car-3")} | {("car-3", stable)}
        fleet.settle()
        assert "vehicles that could not be brought back: 1" in fleet.rollout["message"]


class TestGates:
    GATE: ClassVar[dict[str, Any]] = {"metric": "p99LatencyMs", "value": 33, "interval": "1m", "count": 3}
    SOAK: ClassVar[list[dict[str, Any]]] = [
        {"name": "lab", "size": "1", "soak": "10m"},
        {"name": "fleet", "size": "100%"},
    ]

    def soaking(self) -> FleetWorld:
        return fleet_world(waves=self.SOAK, gates=[self.GATE]).settle()

    def readings(self, fleet: FleetWorld, *values: float) -> None:
        fleet.readings = {Gauge("p99LatencyMs", 60.0): tuple(Reading(fleet.now, value) for value in values)}

    def test_no_data_is_no_pass(self) -> None:
        fleet = self.soaking()
        fleet.tick(3600)
        assert fleet.settle().pauses() == ["GateInconclusive"]
        assert "0 of 3 readings passed (Prometheus has none of this revision)" in fleet.rollout["message"]
        assert len(fleet.labels) == 1
        self.readings(fleet, 20, 21, 22)
        assert len(fleet.settle().labels) == 4

    def test_status_tells_what_a_gate_has_read_while_its_wave_soaks(self) -> None:
        fleet = self.soaking()
        self.readings(fleet, 20, 32)
        [gate] = fleet.settle().rollout["gates"]
        bound = {"metric": "p99LatencyMs", "op": "<=", "value": 33, "count": 3, "failureLimit": 0}
        assert gate == bound | {"passed": 2, "failed": 0, "worst": "32", "silent": 0}
        for _ in fleet.body["spec"]["rollout"]["waves"]:
            fleet.tick(600)
            self.readings(fleet, 20, 32, 21)
            fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["gates"]) == ("Completed", [])

    def test_readings_that_are_needed_no_more_change_nothing_in_status(self) -> None:
        fleet = self.soaking()
        self.readings(fleet, 20, 32, 21)
        writes = fleet.settle().status_writes
        self.readings(fleet, 20, 32, 21, 22, 23)
        assert fleet.settle().status_writes == writes

    def test_a_reading_beyond_all_bounds_is_told_as_such(self) -> None:
        gates = [self.GATE | {"failureLimit": 1}]
        fleet = fleet_world(waves=self.SOAK, gates=gates).settle()
        self.readings(fleet, 20, float("inf"))
        assert [gate["worst"] for gate in fleet.settle().rollout["gates"]] == ["inf"]

    def test_a_failed_gate_takes_the_revision_back_before_the_soak_ends(self) -> None:
        fleet = self.soaking()
        self.readings(fleet, 20, 34)
        fleet.settle()
        assert (fleet.rollout["state"], fleet.disks) == ("RolledBack", {})
        assert "p99LatencyMs 34 is not <= 33" in fleet.rollout["message"]

    def test_a_soak_that_ends_in_silence_showed_nothing(self) -> None:
        fleet = self.soaking()
        self.readings(fleet, 20, 21, 22)
        fleet.tick(3600)
        assert fleet.settle().pauses() == ["GateInconclusive"]
        assert "p99LatencyMs: the last reading is" in fleet.rollout["message"]
        self.readings(fleet, 20, 21, 22)
        assert len(fleet.settle().labels) == 4

    def heard(self, fleet: FleetWorld, **told: int) -> FleetWorld:
        """The fleet after ten minutes with good readings, so many of each vehicle."""
        fleet.tick(600)
        self.readings(fleet, 20, 21, 22)
        fleet.told = {Gauge("p99LatencyMs", 60.0): {name.replace("_", "-"): number for name, number in told.items()}}
        return fleet.settle()

    def test_a_gate_waits_for_readings_of_every_vehicle_that_runs_the_revision_and_names_the_silent(self) -> None:
        fleet = fleet_world(waves=[{"name": "fleet", "size": "100%", "soak": "10m"}], gates=[self.GATE]).settle()
        self.heard(fleet, car_0=3, car_1=2, car_2=3)
        assert fleet.pauses() == ["GateInconclusive"]
        assert "p99LatencyMs: fewer than 3 readings of car-1, car-3: no data is no pass" in fleet.rollout["message"]
        assert [gate["silent"] for gate in fleet.rollout["gates"]] == [2]
        assert self.heard(fleet, car_0=3, car_1=3, car_2=3, car_3=3).rollout["state"] == "Completed"

    def test_as_many_vehicles_may_be_silent_as_may_fail(self) -> None:
        waves = [{"name": "fleet", "size": "100%", "soak": "10m"}]
        fleet = fleet_world(waves=waves, gates=[self.GATE], failurePolicy={"maxFailures": "1"}).settle()
        assert self.heard(fleet, car_0=3, car_1=3).pauses() == ["GateInconclusive"]
        assert self.heard(fleet, car_0=3, car_1=3, car_2=3).rollout["state"] == "Completed"

    def test_a_vehicle_that_is_away_or_came_back_while_the_wave_soaked_is_not_waited_for(self) -> None:
        waves = [{"name": "fleet", "size": "100%", "soak": "10m"}]
        fleet = fleet_world(waves=waves, gates=[self.GATE]).settle()
        fleet.go_away("car-0")
        fleet.go_away("car-1")
        fleet.tick(60)
        fleet.come_back("car-1")
        assert self.heard(fleet, car_2=3, car_3=3).rollout["state"] == "Completed"

    def test_a_query_that_does_not_tell_vehicles_apart_is_taken_as_it_is(self) -> None:
        fleet = self.soaking()
        fleet.tick(600)
        self.readings(fleet, 20, 21, 22)
        assert len(fleet.settle().labels) == 4

    def test_two_gates_over_one_metric_read_it_each_at_its_own_interval(self) -> None:
        slow = {**self.GATE, "interval": "10m", "value": 40}
        fleet = fleet_world(waves=self.SOAK, gates=[self.GATE, slow]).settle()
        asked = readings_wanted(fleet.observed(), fleet.now)
        assert [each.gauge for each in asked] == [Gauge("p99LatencyMs", 60.0), Gauge("p99LatencyMs", 600.0)]
        self.readings(fleet, 20, 21, 22)
        fleet.readings[Gauge("p99LatencyMs", 600.0)] = tuple(Reading(fleet.now, value) for value in (41,))
        fleet.settle()
        assert "p99LatencyMs 41 is not <= 40" in fleet.rollout["message"]


def test_vehicles_without_a_target_are_not_of_the_rollout() -> None:
    fleet = fleet_world(2)
    fleet.vehicles["other"] = replace(fleet.vehicles["car-0"], name="other", board=ENTRY["board"])
    assert "other" not in fleet.settle().labels


def test_a_window_in_no_time_zone_is_refused_in_words() -> None:
    waves = [{"name": "fleet", "size": "100%"}]
    window = {"start": "01:00", "end": "02:00", "timeZone": "Europe/Atlantis"}
    done = world(rollout={"waves": waves, "window": window}).run()
    stalled = done.condition("Stalled")
    assert stalled["reason"] == "InvalidSpec"
    assert "'Europe/Atlantis' is no IANA time zone" in stalled["message"]
