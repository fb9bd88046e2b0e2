"""Rollouts over six vehicles in all that may happen to them; test_rollout.py has the short way through."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import FakeStages
from e2e.fleet import CARS, SPARE, Fleet, fleet_cluster, new_namespace, settings
from e2e.running import VEHICLE, Cluster, OperatorProcess, wait_for

BROKEN = {"reason": "GoldenMismatch", "message": "outputs differ by 0.7, 0.01 is allowed", "retryable": False}


@pytest.fixture(scope="module")
def vehicles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with fleet_cluster(tmp_path_factory.mktemp("vehicles")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def operator(vehicles: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all tests: each has a namespace of its own."""
    directory = tmp_path_factory.mktemp("operator")
    (directory / "fleet").mkdir()
    process = OperatorProcess(vehicles.kubeconfig, settings(directory / "fleet"), directory, [])
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


@pytest.fixture
def fleet(vehicles: Cluster, operator: OperatorProcess, tmp_path: Path) -> Iterator[Fleet]:
    kubectl = new_namespace(vehicles, tmp_path)
    assert vehicles.control is not None
    stages = FakeStages(vehicles.control, kubectl.namespace)
    stages.behave()
    yield Fleet(kubectl, operator, stages, operator.log.parent / "fleet")
    stages.behave()
    kubectl("delete", "dmsd", "--all", "--timeout=60s")
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.mark.slow
def test_three_waves_bring_a_revision_to_every_vehicle_and_all_signs_of_it_agree(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.wait("Completed")
    status = fleet.status()
    revision, rollout = status["revision"]["current"], status["rollout"]
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, revision)
    assert (status["phase"], status["revision"]["stable"], rollout["wave"]) == ("Ready", revision, "fleet")
    assert rollout["vehicles"] | {"total": 6, "updated": 6} == rollout["vehicles"]
    assert sorted(fleet.runs("activate")) == sorted(fleet.runs("prefetch")) == list(CARS)
    lab, events = fleet.runs("activate")[0], fleet.stages.runs("")
    first = next(n for n, run in enumerate(events) if (run["stage"], run["event"]) == ("activate", "end"))
    others = [n for n, run in enumerate(events) if run["stage"] == "prefetch" and run["node"] != lab]
    assert first < min(others), "the second wave begins when the first one's vehicle runs the revision"
    wait_for(lambda: fleet.vehicle_jobs() == [], 30, "finished Jobs go once the labels are seen")
    assert "Completed" in fleet.kubectl("get", "dmsd", "driver", "-o", "jsonpath={.status.rollout.state}")


def test_a_revision_that_fails_on_vehicles_is_taken_back_from_all_of_them(fleet: Fleet) -> None:
    stable = fleet.completed()
    fleet.stages.behave(**{f"driver__activate__{car}": {"failure": BROKEN, "spares": stable} for car in CARS[::2]})
    fleet.deploy(2)
    rollout = fleet.wait("RolledBack")
    status = fleet.status()
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, stable)
    assert status["revision"]["stable"] == stable and rollout["refused"] == [rollout["revision"]]
    assert rollout["revision"] == status["revision"]["current"] != stable
    [ready] = [each for each in status["conditions"] if each["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
    tried = fleet.runs("activate", revision=rollout["revision"])
    fleet.annotate("example.com/look=again")
    time.sleep(1)
    assert fleet.runs("activate", revision=rollout["revision"]) == tried, "it is not rolled out again"


def test_a_wave_waits_for_approval_and_for_that_of_its_own(fleet: Fleet) -> None:
    waves = [{"name": "lab", "size": "1"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.deploy(waves=waves)
    rollout = fleet.wait_paused("ApprovalRequired")
    assert len(fleet.labels()) == 1 and len(fleet.runs("prefetch")) == 1
    fleet.annotate(f"dms.edge/approve={rollout['revision']}/lab")
    fleet.annotate("dms.edge/approve=0123456789ab/fleet")
    time.sleep(1)
    assert len(fleet.labels()) == 1
    fleet.annotate(f"dms.edge/approve={rollout['revision']}/fleet")
    fleet.wait("Completed")
    assert set(fleet.labels()) == set(CARS)


@pytest.mark.slow
def test_a_killed_operator_goes_on_where_the_vehicles_are(fleet: Fleet) -> None:
    gate = f"{fleet.kubectl.namespace}-gate"
    fleet.stages.behave(driver__activate={"hold": gate})
    fleet.deploy(waves=[{"name": "fleet", "size": "100%"}])
    wait_for(lambda: len(fleet.runs("activate")) == 2, 60, "two vehicles are being switched")
    fleet.operator.kill()
    fleet.stages.release(gate)
    wait_for(lambda: len(fleet.runs("activate", "end")) == 2, 60, "they end while no operator lives")
    fleet.operator.start()
    fleet.operator.wait_ready()
    revision = fleet.wait("Completed")["revision"]
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, revision)
    assert sorted(fleet.runs("activate")) == list(CARS), "nothing ran twice"


@pytest.mark.slow
def test_a_vehicle_that_is_away_is_deferred_and_catches_up(fleet: Fleet) -> None:
    fleet.happen("silence-node", name="car-3")
    try:
        fleet.deploy(offlinePolicy={"grace": "1s"})
        rollout = fleet.wait("Completed")
        assert set(fleet.labels()) == {*CARS} - {"car-3"}
        assert (rollout["vehicles"]["offline"], rollout["vehicles"]["updated"]) == (1, 5)
    finally:
        fleet.happen("revive-node", name="car-3")
    wait_for(lambda: set(fleet.labels()) == {*CARS}, 60, "it caught up")
    assert fleet.links()["car-3"] == rollout["revision"]
    assert fleet.status()["phase"] == "Ready"


@pytest.mark.slow
def test_a_held_vehicle_is_never_touched_until_it_is_let_go(fleet: Fleet) -> None:
    fleet.kubectl("annotate", "node", "car-2", "dms.edge/hold=in-workshop")
    try:
        fleet.deploy()
        rollout = fleet.wait("Completed")
        assert rollout["vehicles"]["held"] == 1
        assert "car-2" not in {*fleet.labels(), *fleet.links(), *fleet.runs("prefetch")}
    finally:
        fleet.kubectl("annotate", "node", "car-2", "dms.edge/hold-")
    wait_for(lambda: fleet.labels().get("car-2") == rollout["revision"], 60, "it was updated")


@pytest.mark.slow
def test_a_vehicle_that_joins_gets_the_revision_without_waves(fleet: Fleet) -> None:
    revision = fleet.completed()
    fleet.kubectl("label", "node", SPARE, f"{VEHICLE}=qcs8255")
    try:
        wait_for(lambda: fleet.labels().get(SPARE) == revision, 60, "the new vehicle has it")
        assert fleet.status()["phase"] == "Ready"
        wait_for(lambda: fleet.rollout()["vehicles"]["total"] == 7, 30, "it counts")
    finally:
        fleet.kubectl("label", "node", SPARE, f"{VEHICLE}-")


@pytest.mark.slow
def test_an_abort_brings_the_stable_revision_back(fleet: Fleet) -> None:
    stable = fleet.completed()
    waves = [{"name": "lab", "size": "3"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.deploy(2, waves=waves)
    bad = fleet.wait_paused("ApprovalRequired")["revision"]
    assert sorted(fleet.labels().values()).count(bad) == 3
    fleet.annotate(f"dms.edge/abort={bad}")
    fleet.wait("RolledBack")
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, stable)
    fleet.annotate("dms.edge/abort-")
    fleet.annotate(f"dms.edge/retry={bad}")
    fleet.wait_paused("ApprovalRequired")
    fleet.annotate(f"dms.edge/approve={bad}/fleet")
    fleet.wait("Completed", revision=bad)
    assert fleet.labels() == dict.fromkeys(CARS, bad)


@pytest.mark.slow
def test_without_a_stable_revision_an_abort_leaves_vehicles_as_they_were(fleet: Fleet) -> None:
    waves = [{"name": "lab", "size": "3"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.deploy(waves=waves)
    bad = fleet.wait_paused("ApprovalRequired")["revision"]
    fleet.annotate(f"dms.edge/abort={bad}")
    fleet.wait("RolledBack")
    assert fleet.labels() == fleet.links() == {}


@pytest.mark.slow
def test_a_suspended_rollout_ends_what_runs_and_starts_nothing(fleet: Fleet) -> None:
    gate = f"{fleet.kubectl.namespace}-gate"
    fleet.stages.behave(driver__activate={"hold": gate})
    fleet.deploy(waves=[{"name": "fleet", "size": "100%"}])
    wait_for(lambda: len(fleet.runs("activate")) == 2, 60, "two vehicles are being switched")
    fleet.kubectl("patch", "dmsd", "driver", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    fleet.wait_paused("Suspended")
    fleet.stages.release(gate)
    wait_for(lambda: len(fleet.labels()) == 2, 60, "what ran has ended")
    time.sleep(1)
    assert len(fleet.runs("activate")) == 2
    fleet.kubectl("patch", "dmsd", "driver", "--type=merge", "-p", '{"spec": {"suspend": false}}')
    fleet.wait("Completed")
    assert set(fleet.labels()) == set(CARS)


@pytest.mark.slow
def test_a_new_revision_supersedes_one_that_is_under_way(fleet: Fleet) -> None:
    stable = fleet.completed()
    fleet.deploy(2, waves=[{"name": "lab", "size": "2"}, {"name": "fleet", "size": "100%", "approval": "Manual"}])
    skipped = fleet.wait_paused("ApprovalRequired")["revision"]
    fleet.deploy(3)
    wait_for(lambda: fleet.rollout().get("revision") not in (stable, skipped), 60, "the third version is built")
    latest = fleet.wait("Completed")["revision"]
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, latest)
    assert len({stable, skipped, latest}) == 3


@pytest.mark.slow
def test_a_deployment_that_goes_takes_its_model_along_but_from_a_held_vehicle(fleet: Fleet) -> None:
    fleet.deploy(deletionPolicy="Remove", waves=[{"name": "fleet", "size": "100%"}])
    fleet.wait("Completed")
    fleet.kubectl("annotate", "node", "car-5", "dms.edge/hold=true")
    try:
        fleet.kubectl("delete", "dmsd", "driver", "--timeout=60s")
    finally:
        fleet.kubectl("annotate", "node", "car-5", "dms.edge/hold-")
    assert set(fleet.links()) == set(fleet.labels()) == {"car-5"}
    messages = [event["message"] for event in fleet.kubectl.json("get", "events")["items"]]
    assert "model removed from 5 vehicles; it stays on car-5 (held)" in messages


@pytest.mark.slow
def test_a_foreground_deletion_takes_the_model_along_too(fleet: Fleet) -> None:
    fleet.deploy(deletionPolicy="Remove", waves=[{"name": "fleet", "size": "100%"}])
    fleet.wait("Completed")
    fleet.kubectl("delete", "dmsd", "driver", "--cascade=foreground", "--timeout=60s")
    assert fleet.links() == fleet.labels() == {}


@pytest.mark.slow
def test_models_stay_when_nobody_asks_for_their_removal(fleet: Fleet) -> None:
    revision = fleet.completed()
    fleet.kubectl("delete", "dmsd", "driver", "--timeout=60s")
    assert fleet.links() == dict.fromkeys(CARS, revision)
