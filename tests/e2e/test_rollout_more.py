"""What else may happen to a rollout over six vehicles; test_rollout.py has the short way through."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dms_operator.api.labels import revision_label
from e2e.fleet import CARS, Fleet, fleet_cluster, fleet_in_namespace, fleet_operator
from e2e.running import Cluster, OperatorProcess, wait_for

pytestmark = pytest.mark.slow


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


def test_without_a_stable_revision_an_abort_leaves_vehicles_as_they_were(fleet: Fleet) -> None:
    waves = [{"name": "lab", "size": "3"}, {"name": "fleet", "size": "100%", "approval": "Manual"}]
    fleet.deploy(waves=waves)
    bad = fleet.wait_paused("ApprovalRequired")["revision"]
    fleet.annotate(f"dms.edge/abort={bad}")
    fleet.wait("RolledBack")
    assert fleet.labels() == fleet.links() == {}


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


def test_a_new_revision_supersedes_one_that_is_under_way(fleet: Fleet) -> None:
    stable = fleet.completed()
    fleet.deploy(2, waves=[{"name": "lab", "size": "2"}, {"name": "fleet", "size": "100%", "approval": "Manual"}])
    skipped = fleet.wait_paused("ApprovalRequired")["revision"]
    fleet.deploy(3)
    wait_for(lambda: fleet.rollout().get("revision") not in (stable, skipped), 60, "the third version is built")
    latest = fleet.wait("Completed")["revision"]
    assert fleet.labels() == fleet.links() == dict.fromkeys(CARS, latest)
    assert len({stable, skipped, latest}) == 3


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
    found = "kubectl get nodes -l {} names those that nobody tried".format(
        revision_label(fleet.kubectl.namespace, "driver")
    )
    assert f"model removed from 5 vehicles; it stays on car-5 (held); {found}" in messages


def test_a_foreground_deletion_takes_the_model_along_too(fleet: Fleet) -> None:
    fleet.deploy(deletionPolicy="Remove", waves=[{"name": "fleet", "size": "100%"}])
    fleet.wait("Completed")
    fleet.kubectl("delete", "dmsd", "driver", "--cascade=foreground", "--timeout=60s")
    assert fleet.links() == fleet.labels() == {}


def test_a_deletion_in_the_middle_of_switches_lets_them_end_and_begins_no_other(fleet: Fleet) -> None:
    gate = f"{fleet.kubectl.namespace}-gate"
    fleet.stages.behave(driver__activate={"hold": gate})
    fleet.deploy(waves=[{"name": "fleet", "size": "100%"}])
    wait_for(lambda: len(fleet.runs("activate")) == 2, 60, "two vehicles are being switched")
    fleet.kubectl("delete", "dmsd", "driver", "--wait=false")
    time.sleep(1)
    fleet.stages.release(gate)
    wait_for(lambda: not fleet.kubectl.json("get", "dmsd")["items"], 60, "the deployment is gone")
    assert fleet.labels() == fleet.links()
    assert set(fleet.links()) == set(fleet.runs("activate")) == set(fleet.runs("activate", "end"))
    assert len(fleet.links()) == 2


def test_models_stay_when_nobody_asks_for_their_removal(fleet: Fleet) -> None:
    revision = fleet.completed()
    fleet.kubectl("delete", "dmsd", "driver", "--timeout=60s")
    assert fleet.links() == dict.fromkeys(CARS, revision)
