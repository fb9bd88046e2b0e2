"""The real operator brings revisions over a fleet of vehicles, by the real API, and takes them back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import FakeStages
from e2e.fleet import BOARD, CARS, SPARE, Fleet, fleet_cluster, new_namespace, settings
from e2e.running import VEHICLE, Cluster, OperatorProcess, wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with fleet_cluster(tmp_path_factory.mktemp("fleet")) as found:
        yield found


@pytest.fixture
def fleet(cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    """A namespace, an operator and a folder of the test's own."""
    folder, directory = tmp_path / "vehicles", tmp_path / "operator"
    folder.mkdir()
    directory.mkdir()
    kubectl = new_namespace(cluster, tmp_path)
    operator = OperatorProcess(cluster.kubeconfig, settings(folder), directory, [kubectl.namespace])
    operator.start()
    operator.wait_ready()
    yield Fleet(kubectl, operator, FakeStages(cluster.control, kubectl.namespace), folder)
    operator.stop()


def test_three_waves_bring_a_revision_to_every_vehicle(fleet: Fleet) -> None:
    revision = fleet.completed()
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, revision)
    wait_for(lambda: not fleet.vehicle_jobs(), 30, "finished Jobs are cleared away")
    status = fleet.status()
    assert (status["phase"], status["revision"]["stable"]) == ("Ready", revision)
    assert status["summary"]["wave"] == "fleet 3/3 (6/6)"
    # a node that becomes a vehicle later follows by itself
    fleet.kubectl("label", "node", SPARE, f"{VEHICLE}={BOARD}")
    try:
        wait_for(lambda: fleet.links().get(SPARE) == revision, 60, "the new vehicle has the revision")
    finally:
        fleet.kubectl("label", "node", SPARE, f"{VEHICLE}-")


def test_an_operator_that_is_killed_on_the_way_goes_on(fleet: Fleet) -> None:
    fleet.deploy()
    wait_for(lambda: fleet.links(), 60, "the first vehicle runs it")
    fleet.operator.kill()
    fleet.operator.start()
    revision = str(fleet.wait("Completed")["revision"])
    assert fleet.links() == fleet.labels() == dict.fromkeys(CARS, revision)
    assert sorted(fleet.runs("activate", "end")) == sorted(CARS), "no vehicle was switched twice"


def test_an_aborted_revision_leaves_every_vehicle_for_the_stable_one(fleet: Fleet) -> None:
    stable = fleet.completed()
    waves = [{"name": "lab", "size": "2"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.deploy(2, waves=waves)
    wait_for(lambda: fleet.rollout().get("revision") != stable, 60, "the new revision is built")
    revision = str(fleet.wait_paused("ApprovalRequired")["revision"])
    assert sorted(fleet.links().values()) == sorted([revision] * 2 + [stable] * 4)
    fleet.annotate(f"dms.edge/abort={revision}")
    fleet.wait("RolledBack")
    assert fleet.links() == fleet.labels() == dict.fromkeys(CARS, stable)
    ready = next(each for each in fleet.status()["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
