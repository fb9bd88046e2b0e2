"""What people change while a rollout is under way: the spec, the revision, the vehicles' labels."""

from dataclasses import replace

from controller.builders import Script, latency
from controller.fleet_world import FleetWorld, fleet_world
from dms_operator.api.labels import ABORT, APPROVE, RETRY

SLOW = [
    {"name": "lab", "size": "1", "soak": "9h"},
    {"name": "fleet", "size": "100%", "soak": "9h", "approval": "Manual"},
]


def other(fleet: FleetWorld, name: str) -> str:
    """Ask for other bytes, and build them; gives the revision."""
    fleet.edit(model={"uri": f"file:///models/{name}.pt2"})
    fleet.settle()
    return fleet.revision()


def everywhere(fleet: FleetWorld, name: str) -> str:
    """Ask for other bytes, and bring them to all vehicles; the last wave soaks."""
    revision = other(fleet, name)
    fleet.tick(10 * 3600)
    fleet.annotate(APPROVE, f"{revision}/fleet")
    fleet.settle()
    assert (set(fleet.labels.values()), fleet.rollout["state"]) == ({revision}, "Soaking")
    return revision


def rolled_out(number: int = 4) -> FleetWorld:
    """A fleet that runs its first revision, and whose next rollouts are slow."""
    fleet = fleet_world(number).settle()
    fleet.edit(rollout={"waves": SLOW, "maxUnavailable": "100%"})
    return fleet.settle()


def test_an_abort_of_what_the_whole_fleet_had_takes_nothing_back_and_says_so() -> None:
    fleet = fleet_world().settle()
    before = dict(fleet.labels)
    fleet.annotate(ABORT, fleet.revision())
    assert fleet.settle().labels == before
    assert (
        "annotation dms.edge/abort takes nothing back that the whole fleet had: change Git" in fleet.rollout["message"]
    )
    del fleet.body["metadata"]["annotations"][ABORT]
    assert "abort" not in fleet.settle().rollout["message"]


class TestRefused:
    def test_no_vehicle_keeps_a_revision_that_was_taken_back_while_the_next_one_soaks(self) -> None:
        fleet = rolled_out()
        stable, bad = fleet.revision(), everywhere(fleet, "bad")
        for name in fleet.vehicles:
            fleet.go_away(name)
        fleet.annotate(ABORT, bad)
        fleet.settle()
        good = other(fleet, "good")
        for name in list(fleet.vehicles):
            fleet.come_back(name)
        fleet.settle()
        assert fleet.rollout["state"] == "Soaking"
        assert sorted(fleet.labels.values()) == sorted([stable, stable, stable, good])
        assert fleet.disks == fleet.labels

    def test_a_rollback_that_a_new_revision_cuts_short_is_carried_through(self) -> None:
        fleet = rolled_out(8)
        stable, bad = fleet.revision(), everywhere(fleet, "bad")
        fleet.annotate(ABORT, bad)
        fleet.reconcile()
        assert fleet.rollout["state"] == "RollingBack"
        fleet.edit(model={"uri": "file:///models/good.pt2"})
        fleet.reconcile()
        for _ in range(60):
            if fleet.status["revision"]["current"] != bad:
                break
            for name in fleet.unfinished():
                if not getattr(fleet.request(name).recipe, "node", ""):
                    fleet.finish(name)
            fleet.tick()
            fleet.reconcile()
        fleet.settle()
        assert fleet.rollout["state"] == "Soaking"
        assert sorted(fleet.labels.values()) == sorted([*[stable] * 7, fleet.revision()])

    def test_where_nothing_ran_before_it_is_taken_off(self) -> None:
        fleet = fleet_world(4, waves=SLOW, maxUnavailable="100%")
        fleet.reconcile()
        bad = everywhere(fleet, "bad")
        for name in fleet.vehicles:
            fleet.go_away(name)
        fleet.annotate(ABORT, bad)
        fleet.settle()
        good = other(fleet, "good")
        for name in fleet.vehicles:
            fleet.come_back(name)
        fleet.settle()
        assert list(fleet.disks.values()) == [good]
        assert fleet.disks == fleet.labels

    def test_it_waits_for_no_approval_but_for_a_suspension(self) -> None:
        fleet = rolled_out()
        stable, bad = fleet.revision(), everywhere(fleet, "bad")
        for name in fleet.vehicles:
            fleet.move(name, held=True)
        fleet.annotate(ABORT, bad)
        fleet.settle()
        good = other(fleet, "good")
        assert set(fleet.labels.values()) == {bad}
        fleet.edit(suspend=True)
        for name in fleet.vehicles:
            fleet.move(name, held=False)
        fleet.settle()
        assert set(fleet.labels.values()) == {bad}
        fleet.edit(suspend=False)
        fleet.settle()
        fleet.tick(10 * 3600)
        fleet.settle()
        assert fleet.pauses() == ["ApprovalRequired"]
        assert sorted(fleet.labels.values()) == sorted([stable, stable, stable, good])


class TestReturning:
    def test_git_that_goes_back_to_what_the_fleet_had_waits_for_no_wave(self) -> None:
        fleet = rolled_out()
        stable = fleet.revision()
        bad = other(fleet, "bad")
        assert bad in fleet.labels.values()
        assert other(fleet, "driver") == stable
        assert set(fleet.labels.values()) == {stable}
        assert fleet.rollout["state"] == "Completed"
        assert fleet.status["phase"] == "Ready"

    def test_after_a_rollback_as_well(self) -> None:
        fleet = rolled_out()
        stable = fleet.revision()
        fleet.annotate(ABORT, other(fleet, "bad"))
        fleet.settle()
        assert other(fleet, "driver") == stable
        assert fleet.rollout["state"] == "Completed"
        assert fleet.rollout["refused"] != []

    def test_forward_again_it_is_still_refused(self) -> None:
        fleet = rolled_out()
        stable = fleet.revision()
        bad = other(fleet, "bad")
        fleet.annotate(ABORT, bad)
        fleet.settle()
        other(fleet, "driver")
        assert other(fleet, "bad") == bad
        assert (fleet.rollout["state"], set(fleet.labels.values())) == ("RolledBack", {stable})


class TestSpec:
    def test_a_rollout_that_is_taken_out_of_the_spec_and_put_back_remembers_what_the_fleet_had(self) -> None:
        fleet = rolled_out()
        stable = fleet.revision()
        bad = other(fleet, "bad")
        fleet.annotate(ABORT, bad)
        fleet.settle()
        del fleet.body["metadata"]["annotations"][ABORT]
        rollout = fleet.body["spec"].pop("rollout")
        fleet.edit()
        fleet.settle()
        assert "waves" not in fleet.rollout or fleet.rollout["waves"] == 0
        fleet.edit(rollout=rollout)
        fleet.settle()
        assert (fleet.rollout["state"], list(fleet.labels.values())) == ("RolledBack", [stable] * 4)
        third = other(fleet, "third")
        fleet.annotate(ABORT, third)
        fleet.settle()
        assert list(fleet.disks.values()) == [stable] * 4

    def test_waves_that_are_edited_while_one_soaks_begin_anew_and_end(self) -> None:
        fleet = rolled_out()
        new = other(fleet, "new")
        fleet.edit(rollout={"waves": [{"name": "all", "size": "100%"}]})
        fleet.settle()
        assert (fleet.rollout["state"], set(fleet.labels.values())) == ("Completed", {new})

    def test_fewer_waves_than_were_done_leave_nothing_open(self) -> None:
        fleet = rolled_out()
        other(fleet, "new")
        fleet.tick(10 * 3600)
        fleet.settle()
        fleet.edit(rollout={"waves": SLOW[:1]})
        fleet.settle()
        fleet.tick(10 * 3600)
        assert fleet.settle().rollout["state"] == "Completed"

    def test_a_target_that_is_taken_out_leaves_its_vehicles_alone(self) -> None:
        fleet = rolled_out()
        before = dict(fleet.disks)
        fleet.edit(targets=[{"name": "elsewhere", "board": "qcs8255"}])
        fleet.settle()
        assert fleet.pauses() == ["NoVehicle"]
        assert fleet.disks == before


class TestMadeAnew:
    def anew(self, fleet: FleetWorld, **changes: object) -> FleetWorld:
        """The deployment is deleted and made anew; labels and disks stay."""
        fleet.body["status"] = {}
        fleet.body["metadata"]["uid"] = "uid-of-another"
        fleet.jobs.clear()
        fleet.created.clear()
        fleet.edit(**changes)
        return fleet.settle()

    def test_with_the_spec_that_the_fleet_runs_it_brings_nothing_and_knows_what_to_go_back_to(self) -> None:
        fleet = fleet_world().settle()
        stable, artifacts = fleet.revision(), dict(fleet.artifacts)
        fleet.artifacts.clear()
        assert self.anew(fleet).rollout["state"] == "Completed"
        assert fleet.artifacts == {}, "no vehicle was switched"
        fleet.edit(rollout={"waves": SLOW})
        fleet.annotate(ABORT, other(fleet, "bad"))
        fleet.settle()
        assert set(fleet.disks.values()) == {stable}
        assert len(fleet.artifacts) == 1 and fleet.artifacts.items() <= artifacts.items()

    def test_with_another_revision_it_knows_nothing_to_go_back_to(self) -> None:
        fleet = fleet_world().settle()
        self.anew(fleet, rollout={"waves": SLOW}, model={"uri": "file:///models/bad.pt2"})
        bad = fleet.revision()
        assert sorted(fleet.labels.values()).count(bad) == 1
        fleet.annotate(ABORT, bad)
        fleet.settle()
        assert len(fleet.labels) == 3 and bad not in fleet.labels.values()


class TestVehicles:
    def test_a_fleet_that_shrinks_to_nothing_waits_for_vehicles(self) -> None:
        fleet = fleet_world()
        fleet.run_until_built()
        fleet.vehicles.clear()
        fleet.settle()
        assert fleet.pauses() == ["NoVehicle"]
        assert not [name for name in fleet.jobs if "fetch" in name or "activate" in name]

    def test_a_node_that_is_deleted_while_it_is_switched_holds_no_slot(self) -> None:
        fleet = fleet_world(3, waves=[{"name": "fleet", "size": "100%"}], maxUnavailable="1")
        fleet.run_until_built()
        fleet.run_vehicle("car-1", "activate")
        gone = fleet.vehicles.pop("car-1")
        for job in fleet.unfinished():
            if getattr(fleet.request(job).recipe, "node", "") == "car-1":
                fleet.pods[job] = []
        fleet.settle()
        assert (fleet.rollout["state"], len(fleet.labels)) == ("Completed", 2)
        fleet.vehicles["car-1"] = gone
        fleet.disks.pop("car-1", None)
        assert fleet.settle().labels["car-1"] == fleet.revision()

    def test_what_was_switched_while_its_label_was_off_is_noted(self) -> None:
        fleet = rolled_out()
        stable = fleet.revision()
        fleet.edit(model={"uri": "file:///models/bad.pt2"})
        fleet.reconcile()
        fleet.run_until_built()
        bad = fleet.revision()
        car = next(str(getattr(fleet.request(job).recipe, "node", "")) for job in fleet.unfinished())
        fleet.run_vehicle(car, "activate")
        vehicle = fleet.vehicles.pop(car)
        fleet.annotate(ABORT, bad)
        fleet.settle()
        assert fleet.disks[car] == bad
        fleet.vehicles[car] = vehicle
        fleet.settle()
        assert fleet.disks == fleet.labels
        assert set(fleet.disks.values()) == {stable}

    def test_new_vehicles_in_a_soak_are_updated_and_hold_up_nothing(self) -> None:
        fleet = rolled_out()
        other(fleet, "new")
        fleet.vehicles |= {
            f"new-{number}": replace(fleet.vehicles["car-0"], name=f"new-{number}") for number in range(4)
        }
        fleet.settle()
        fleet.tick(10 * 3600)
        fleet.settle()
        assert fleet.pauses() == ["ApprovalRequired"]
        fleet.annotate(APPROVE, f"{fleet.revision()}/fleet")
        fleet.settle()
        assert (fleet.rollout["state"], len(fleet.labels)) == ("Soaking", 8)

    def test_late_ones_of_a_fleet_that_was_rolled_back_wait_for_the_window(self) -> None:
        fleet = fleet_world().settle()
        stable = fleet.revision()
        fleet.edit(rollout={"waves": SLOW, "window": {"start": "00:00", "end": "23:59"}})
        fleet.settle()
        bad = other(fleet, "bad")
        fleet.annotate(ABORT, bad)
        fleet.settle()
        fleet.edit(rollout={"waves": SLOW, "window": {"start": "02:00", "end": "04:00"}})
        fleet.vehicles["late"] = replace(fleet.vehicles["car-0"], name="late")
        fleet.settle()
        assert (fleet.rollout["state"], "late" in fleet.labels) == ("RolledBack", False)
        fleet.annotate(RETRY, "now")
        fleet.tick(((26 - fleet.now.hour) % 24) * 3600)
        assert fleet.settle().labels["late"] == stable


class TestRefusedSpecs:
    def said(self, **rollout: object) -> str:
        stalled = fleet_world(2, **rollout).settle().condition("Stalled")
        assert stalled["reason"] == "InvalidSpec"
        return str(stalled["message"])

    def test_no_vehicle_at_a_time_is_no_rollout(self) -> None:
        for none in ("0", "0%", "00"):
            assert "maxUnavailable" in self.said(maxUnavailable=none)
            assert "size" in self.said(waves=[{"name": "lab", "size": none}])

    def test_a_wave_as_large_as_the_one_before_is_another_soak(self) -> None:
        same = [{"name": "a", "size": "1"}, {"name": "b", "size": "1"}, {"name": "c", "size": "100%"}]
        assert fleet_world(2, waves=same).settle().rollout["state"] == "Completed"

    def test_a_wave_that_is_smaller_than_one_before_it_is_no_course(self) -> None:
        shrinking = [{"name": "half", "size": "50%"}, {"name": "few", "size": "10%"}, {"name": "all", "size": "100%"}]
        said = self.said(waves=shrinking)
        assert "wave 'few' (10%) is smaller than 'half' (50%) before it" in said
        assert "make it larger or move it to the front" in said

    def test_a_share_that_comes_to_less_than_a_count_before_it_is_another_soak(self) -> None:
        mixed = [{"name": "lab", "size": "3"}, {"name": "canary", "size": "25%", "approval": "Manual"}]
        fleet = fleet_world(4, waves=[*mixed, {"name": "fleet", "size": "100%"}]).settle()
        assert (fleet.rollout["wave"], fleet.pauses()) == ("canary", ["ApprovalRequired"])
        assert fleet.rollout["desired"] == 3
        fleet.annotate(APPROVE, f"{fleet.revision()}/canary")
        assert fleet.settle().rollout["state"] == "Completed"


def test_a_pause_measures_nothing_again_though_the_benchmark_was_noisy() -> None:
    noisy = latency("measured", "0.450ms", samples=700, noisy=True, max="0.500ms")
    fleet = fleet_world(waves=SLOW)
    fleet.script = Script(benchmark={"latencies": [noisy.to_wire()]})
    fleet.settle()
    (digest,) = (each["recipe"] for each in fleet.status["stages"] if each["stage"] == "benchmark")
    fleet.edit(suspend=True)
    fleet.settle()
    assert fleet.pauses() == ["Suspended"]
    fleet.edit(suspend=False)
    fleet.settle()
    assert fleet.pauses() == [] and fleet.created.count(digest) == 1
