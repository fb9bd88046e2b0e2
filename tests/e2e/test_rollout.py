"""The real operator brings revisions over a fleet of vehicles and takes them back, as people ask by `dms rollout`."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dms_operator.cli.cluster import ChangedMeanwhile, ClusterAccess
from dms_operator.cli.objects import Deployment
from dms_operator.cli.rollout.requests import approval
from dms_operator.cli.writes import Request, write
from e2e.fleet import BOARD, CARS, SPARE, Fleet, fleet_cluster, fleet_in_namespace, fleet_operator
from e2e.running import VEHICLE, Cluster, OperatorProcess, wait_for

BROKEN = {"reason": "GoldenMismatch", "message": "outputs differ by 0.7, 0.01 is allowed", "retryable": False}


@pytest.fixture(scope="module")
def vehicles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with fleet_cluster(tmp_path_factory.mktemp("vehicles")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def operator(vehicles: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    with fleet_operator(vehicles, tmp_path_factory.mktemp("operator")) as process:
        yield process


@pytest.fixture
def fleet(vehicles: Cluster, operator: OperatorProcess, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_in_namespace(vehicles, operator, tmp_path) as found:
        yield found


def test_three_waves_bring_a_revision_to_every_vehicle_and_all_signs_of_it_agree(fleet: Fleet) -> None:
    fleet.deploy()
    assert fleet.wait("Completed")["wave"] == "fleet"
    status = fleet.status()
    revision, rollout = status["revision"]["current"], status["rollout"]
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, revision)
    assert (status["phase"], status["revision"]["stable"]) == ("Ready", revision)
    assert status["summary"]["wave"] == "fleet 3/3 (6/6)"
    assert rollout["vehicles"] | {"total": 6, "updated": 6} == rollout["vehicles"]
    assert sorted(fleet.runs("activate")) == sorted(fleet.runs("prefetch")) == list(CARS)
    lab, events = fleet.runs("activate")[0], fleet.stages.runs("")
    first = next(n for n, run in enumerate(events) if (run["stage"], run["event"]) == ("activate", "end"))
    others = [n for n, run in enumerate(events) if run["stage"] == "prefetch" and run["node"] != lab]
    assert first < min(others), "the second wave begins when the first one's vehicle runs the revision"
    wait_for(lambda: fleet.vehicle_jobs() == [], 30, "finished Jobs go once the labels are seen")
    assert "Completed" in fleet.kubectl("get", "dmsd", "driver", "-o", "jsonpath={.status.rollout.state}")
    # a node that becomes a vehicle later follows by itself, without waves
    fleet.kubectl("label", "node", SPARE, f"{VEHICLE}={BOARD}")
    try:
        wait_for(lambda: fleet.labels().get(SPARE) == revision, 60, "the new vehicle has it")
        assert (fleet.links()[SPARE], fleet.status()["phase"]) == (revision, "Ready")
        wait_for(lambda: fleet.rollout()["vehicles"]["total"] == 7, 30, "it counts")
    finally:
        fleet.kubectl("label", "node", SPARE, f"{VEHICLE}-")


def test_an_operator_that_is_killed_on_the_way_goes_on(fleet: Fleet) -> None:
    fleet.deploy()
    wait_for(lambda: fleet.links(), 60, "the first vehicle runs it")
    fleet.operator.kill()
    fleet.operator.start()
    fleet.operator.wait_ready()
    revision = str(fleet.wait("Completed")["revision"])
    assert fleet.links() == fleet.labels() == dict.fromkeys(CARS, revision)
    assert sorted(fleet.runs("activate", "end")) == sorted(CARS), "no vehicle was switched twice"


def test_an_aborted_revision_leaves_every_vehicle_for_the_stable_one_until_it_is_tried_again(fleet: Fleet) -> None:
    stable = fleet.completed()
    assert "NothingToDo: " + stable in fleet.command("abort", code=1), "what was completed is not taken back"
    waves = [{"name": "lab", "size": "3"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.deploy(2, waves=waves)
    wait_for(lambda: fleet.rollout().get("revision") != stable, 60, "the new revision is built")
    bad = str(fleet.wait_paused("ApprovalRequired")["revision"])
    assert sorted(fleet.links().values()) == sorted(fleet.labels().values()) == sorted([bad] * 3 + [stable] * 3)
    assert f"its vehicles get {stable} again" in fleet.command("abort", f"--revision={bad}")
    fleet.wait("RolledBack")
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, stable)
    ready = next(each for each in fleet.status()["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
    assert f"6 run {stable}" in fleet.command("status", "--watch", code=1), "the watch ends with the rollout"
    fleet.command("retry")
    fleet.wait_paused("ApprovalRequired")
    assert f"wave fleet of revision {bad} may start" in fleet.command("approve", "--wave=fleet")
    fleet.wait("Completed", revision=bad)
    assert fleet.labels() == dict.fromkeys(CARS, bad)
    assert "6 updated" in fleet.command("status", "--watch")


def test_a_command_that_another_write_overtakes_looks_again_and_writes_only_what_was_meant(fleet: Fleet) -> None:
    fleet.deploy(waves=[{"name": "lab", "size": "1", "approval": "Manual"}])
    revision = fleet.wait_paused("ApprovalRequired")["revision"]
    access = ClusterAccess(fleet.kubectl.kubeconfig, namespace=fleet.kubectl.namespace)
    seen: list[str] = []

    def overtaken(deployment: Deployment) -> Request:
        seen.append(deployment.metadata.resource_version)
        fleet.annotate(f"example.com/look={min(len(seen), 2)}")
        return approval(deployment)

    def undecided(deployment: Deployment) -> Request:
        fleet.annotate(f"example.com/look=again-{len(seen)}")
        seen.append("")
        return Request(f"the decision is {len(seen)}", {"example.com/decision": "written"})

    with pytest.raises(ChangedMeanwhile, match="changed: the decision is 1 no longer fits"):
        write(access, "driver", undecided)
    seen.clear()
    write(access, "driver", overtaken)
    marks = fleet.kubectl.json("get", "dmsd", "driver")["metadata"]["annotations"]
    assert len(seen) > 1 and marks["dms.edge/approve"] == f"{revision}/lab"
    assert "example.com/decision" not in marks
    fleet.wait("Completed")


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
