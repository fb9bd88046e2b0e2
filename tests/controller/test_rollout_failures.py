"""A vehicle that fails counts once, and goes on counting; nothing goes on for ever."""

from datetime import datetime, timedelta
from typing import ClassVar

from controller.fleet_world import FleetWorld, fleet_world
from dms_operator.api.labels import APPROVE, RETRY

ONE_WAVE = [{"name": "fleet", "size": "100%"}]


def built(number: int = 4, /, **rollout: object) -> FleetWorld:
    fleet = fleet_world(number, **{"waves": ONE_WAVE, **rollout})
    fleet.run_until_built()
    return fleet


class TestPrefetch:
    def test_a_failure_within_the_budget_stays_counted_and_the_others_go_on(self) -> None:
        fleet = built(failurePolicy={"maxFailures": "1"})
        fleet.unfetchable = {("car-1", fleet.revision())}
        fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Completed", 1)
        assert [each["reason"] for each in fleet.rollout["failedVehicles"]] == ["VehicleFolderUnusable"]
        assert fleet.rollout["message"] == f"3/4 vehicles run {fleet.revision()}; 1 failed"

    def test_a_pause_for_it_stays_until_a_person_asks_for_another_try(self) -> None:
        fleet = built(failurePolicy={"action": "Pause"})
        fleet.unfetchable = {(name, fleet.revision()) for name in fleet.vehicles}
        fleet.settle()
        assert fleet.pauses() == ["FailureBudgetExceeded"]
        told, name = fleet.rollout["pauses"][0]["message"], fleet.body["metadata"]["name"]
        assert f"kubectl dms rollout retry {name}, or" in told and f"kubectl dms rollout abort {name}, or" in told
        made = len(fleet.created)
        fleet.tick(7200)
        fleet.settle()
        assert (fleet.pauses(), len(fleet.created)) == (["FailureBudgetExceeded"], made)

    def test_another_revision_forgets_it(self) -> None:
        fleet = built(failurePolicy={"maxFailures": "1"})
        fleet.unfetchable = {("car-1", fleet.revision())}
        fleet.settle()
        fleet.edit(model={"uri": "file:///models/other.pt2"})
        fleet.settle()
        assert set(fleet.labels.values()) == {fleet.revision()}
        assert len(fleet.labels) == 4
        assert fleet.rollout["vehicles"]["failed"] == 0


class TestDamagedOnDisk:
    def test_a_revision_that_is_damaged_when_it_is_to_run_is_brought_again(self) -> None:
        fleet = built()
        fleet.damages = {("car-2", fleet.revision()): 2}
        fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["updated"]) == ("Completed", 4)
        assert [event.message for event in fleet.events if event.reason == "FetchedAgain"] == [
            "car-2: DigestMismatch: model.onnx is not what was signed",
        ] * 2
        assert fleet.rollout["fetchedAgain"] == []

    def test_it_counts_as_failed_when_that_does_not_help(self) -> None:
        fleet = built(failurePolicy={"perNodeRetries": 1})
        fleet.damages = {("car-2", fleet.revision()): 9}
        fleet.settle()
        assert fleet.rollout["state"] == "RolledBack"
        assert "model.onnx is not what was signed" in fleet.rollout["message"]
        assert fleet.damages["car-2", fleet.revision()] == 7

    def test_with_no_retries_it_is_not_tried(self) -> None:
        fleet = built(failurePolicy={"perNodeRetries": 0})
        fleet.damages = {("car-2", fleet.revision()): 1}
        assert fleet.settle().rollout["state"] == "RolledBack"


class TestOfflineFail:
    FAIL: ClassVar[dict[str, str]] = {"grace": "30m", "action": "Fail"}

    def test_a_vehicle_that_is_away_for_longer_than_the_grace_counts_as_failed(self) -> None:
        fleet = built(offlinePolicy=self.FAIL, failurePolicy={"maxFailures": "1"})
        fleet.go_away("car-1")
        fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["offline"]) == ("Updating", 1)
        fleet.tick(1800)
        fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Completed", 1)
        assert fleet.rollout["failedVehicles"][0]["reason"] == "Offline"

    def test_beyond_the_budget_it_takes_the_revision_back(self) -> None:
        fleet = built(offlinePolicy=self.FAIL)
        fleet.go_away("car-1")
        fleet.settle()
        fleet.tick(1800)
        assert fleet.settle().rollout["state"] == "RolledBack"
        assert "away for longer than 30m" in fleet.rollout["message"]

    def test_it_is_no_failure_any_more_when_it_comes_back(self) -> None:
        fleet = built(offlinePolicy=self.FAIL, failurePolicy={"action": "Pause"})
        fleet.go_away("car-1")
        fleet.settle()
        fleet.tick(1800)
        assert fleet.settle().pauses() == ["FailureBudgetExceeded"]
        fleet.come_back("car-1")
        assert fleet.settle().rollout["state"] == "Completed"
        assert fleet.labels["car-1"] == fleet.revision()

    def test_only_vehicles_that_the_wave_wants_fail(self) -> None:
        fleet = fleet_world(offlinePolicy=self.FAIL, waves=[{"name": "lab", "size": "1", "soak": "1h"}])
        fleet.run_until_built()
        first = next(iter(fleet.unfinished())).rpartition("-")[0]
        assert first
        for name in fleet.vehicles:
            if not any(getattr(fleet.request(job).recipe, "node", "") == name for job in fleet.jobs):
                fleet.move(name, away_since=fleet.now - timedelta(hours=2))
        fleet.settle()
        assert (fleet.rollout["state"], fleet.rollout["vehicles"]["failed"]) == ("Soaking", 0)


class TestProgressDeadline:
    def working(self, **rollout: object) -> FleetWorld:
        """A rollout whose pods all run, and none of which ends."""
        fleet = built(progressDeadline="20m", maxUnavailable="4", **rollout)
        for job in fleet.unfinished():
            fleet.start(job)
        return fleet

    def test_a_wave_in_which_nothing_goes_forward_is_taken_back(self) -> None:
        fleet = self.working()
        begun = datetime.fromisoformat(fleet.rollout["progressedAt"])
        fleet.now = begun + timedelta(seconds=1199)
        fleet.reconcile()
        assert fleet.rollout["state"] == "Updating"
        fleet.tick()
        fleet.reconcile()
        assert fleet.rollout["state"] in ("RollingBack", "RolledBack")
        assert "no vehicle went forward for 20m" in fleet.rollout["message"]

    def test_each_vehicle_that_goes_forward_gives_it_new_time(self) -> None:
        fleet = self.working()
        for job in fleet.unfinished():
            fleet.finish(job)
        fleet.reconcile()
        for job in fleet.unfinished():
            fleet.start(job)
        for job in fleet.unfinished():
            fleet.tick(1100)
            fleet.finish(job)
            fleet.reconcile()
            assert fleet.rollout["state"] in ("Updating", "Completed")
        assert fleet.settle().rollout["state"] == "Completed"

    def test_a_policy_of_pause_says_so_and_goes_on_after_a_retry(self) -> None:
        fleet = self.working(failurePolicy={"action": "Pause"})
        fleet.tick(1200)
        fleet.reconcile()
        assert fleet.pauses() == ["ProgressDeadlineExceeded"]
        fleet.annotate(RETRY, "again")
        assert fleet.settle().rollout["state"] == "Completed"

    def test_it_stands_still_while_people_are_waited_for(self) -> None:
        waves = [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
        fleet = fleet_world(waves=waves, progressDeadline="20m").settle()
        fleet.tick(7200)
        fleet.settle()
        assert (fleet.rollout["state"], fleet.pauses()) == ("Waiting", ["ApprovalRequired"])
        fleet.annotate(APPROVE, f"{fleet.revision()}/fleet")
        assert fleet.settle().rollout["state"] == "Completed"


def test_a_label_of_an_earlier_revision_that_was_written_late_is_put_right() -> None:
    fleet = built().settle()
    earlier = fleet.revision()
    fleet.edit(model={"uri": "file:///models/other.pt2"})
    fleet.settle()
    fleet.note("car-1", earlier)
    fleet.settle()
    assert set(fleet.labels.values()) == set(fleet.disks.values()) == {fleet.revision()} != {earlier}
