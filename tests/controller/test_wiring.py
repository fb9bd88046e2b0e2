"""From watch events to keys: what is asked for, and what is not."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from controller.recording import RecordingCluster
from dms_operator.controller.boards import BoardKeeper
from dms_operator.controller.caches import Caches
from dms_operator.controller.reflector import PAGE_SIZE
from dms_operator.controller.watching import Stream
from dms_operator.controller.wiring import Intake, Key, kopf_settings


class Wishes:
    """Stands in for the workers: remembers what was asked for."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def add(self, key: Key, delay: float = 0.0) -> None:
        self.keys.append(key)

    def take(self) -> list[str]:
        taken, self.keys = [str(key) for key in self.keys], []
        return taken


def _body(name: str, version: int, owner: tuple[str, str] | None = None, **more: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": str(version)}
    if owner:
        kind, owned_by = owner
        metadata["ownerReferences"] = [{"kind": kind, "name": owned_by, "uid": f"uid-{owned_by}", "controller": True}]
    return {"metadata": metadata, **more}


def _node(version: int, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "n", "uid": "n", "resourceVersion": str(version), "labels": labels}}


def _page(*bodies: dict[str, Any], more: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "9", "continue": more}, "items": list(bodies)}


JOB = ("DMSModelDeployment", "driver")


def _intake() -> tuple[Intake, Wishes]:
    wishes = Wishes()
    return Intake(Caches(), wishes), wishes  # type: ignore[arg-type]


def test_a_change_of_a_deployment_its_job_or_its_pod_asks_for_the_deployment() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _body("driver", 1), deleted=False)
    intake.changed("jobs", _body("job", 2, JOB), deleted=False)
    intake.changed("pods", _body("pod", 3, ("Job", "job")), deleted=False)
    intake.changed("pods", _body("pod", 3, ("Job", "job")), deleted=True)
    assert wishes.take() == ["deployment ns/driver"] * 4


def test_an_event_that_tells_nothing_new_asks_for_nothing() -> None:
    intake, wishes = _intake()
    intake.changed("jobs", _body("job", 2, JOB), deleted=False)
    wishes.take()
    intake.changed("jobs", _body("job", 2, JOB), deleted=False)
    intake.changed("jobs", _body("job", 1, JOB), deleted=False)
    intake.changed("jobs", _body("unknown", 1, JOB), deleted=True)
    assert wishes.take() == []


def test_foreign_jobs_ask_for_nothing() -> None:
    intake, wishes = _intake()
    intake.changed("jobs", _body("job", 1), deleted=False)
    intake.changed("pods", _body("pod", 2, ("ReplicaSet", "web")), deleted=False)
    assert wishes.take() == []


def test_what_a_new_list_no_longer_holds_is_asked_for() -> None:
    intake, wishes = _intake()
    deployments, jobs = Stream("deployments", None), Stream("jobs", None)
    intake.page(deployments, _page(_body("driver", 1)), True)
    intake.page(jobs, _page(_body("job", 2, JOB)), True)
    wishes.take()
    intake.page(jobs, _page(), True)
    assert wishes.take() == ["deployment ns/driver"]
    intake.page(deployments, _page(), True)
    assert wishes.take() == ["deployment ns/driver"]


def test_a_list_in_pages_is_one_list() -> None:
    intake, wishes = _intake()
    jobs = Stream("jobs", None)
    for _ in range(2):
        intake.page(jobs, _page(_body("one", 2, JOB), more="go on"), True)
        intake.page(jobs, _page(_body("two", 3, JOB)), False)
    assert wishes.take() == ["deployment ns/driver"] * 2


def test_a_list_that_was_broken_off_and_begun_anew_forgets_nothing() -> None:
    intake, wishes = _intake()
    jobs = Stream("jobs", None)
    intake.page(jobs, _page(_body("one", 2, JOB), more="go on"), True)
    intake.page(jobs, _page(_body("one", 2, JOB), _body("two", 3, JOB)), True)
    assert wishes.take() == ["deployment ns/driver"] * 2


def test_a_board_asks_for_its_node_and_for_all_deployments() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _body("driver", 1), deleted=False)
    wishes.take()
    intake.changed("nodes", _node(2, **{"dms.edge/board": "qcs8255"}), deleted=False)
    assert wishes.take() == ["node n", "deployment ns/driver"]


def test_a_node_that_changes_no_count_of_boards_asks_for_itself_alone() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _body("driver", 1), deleted=False)
    intake.changed("nodes", _node(2, **{"dms.edge/board": "qcs8255"}), deleted=False)
    wishes.take()
    intake.changed("nodes", _node(3, **{"dms.edge/board": "qcs8255", "dms.edge/fleet": "a"}), deleted=False)
    assert wishes.take() == ["node n"]


def test_a_board_whose_node_is_deleted_asks_for_all_deployments() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _body("driver", 1), deleted=False)
    intake.changed("nodes", _node(2, **{"dms.edge/board": "qcs8255"}), deleted=False)
    wishes.take()
    intake.changed("nodes", _node(3, **{"dms.edge/board": "qcs8255"}), deleted=True)
    assert wishes.take() == ["node n", "deployment ns/driver"]


async def test_an_offer_that_we_corrected_asks_for_deployments_though_the_watch_says_nothing_new() -> None:
    wishes, caches, cluster = Wishes(), Caches(), RecordingCluster()
    intake = Intake(caches, wishes)  # type: ignore[arg-type]
    intake.changed("deployments", _body("driver", 1), deleted=False)
    labels = {"dms.edge/board": "qcs8255", "dms.edge/board-disabled": "true"}
    offer = {"capacity": {"dms.edge/qcs8255": "1"}, "allocatable": {"dms.edge/qcs8255": "1"}}
    cluster.nodes["n"] = {**_node(2, **labels), "status": offer}
    intake.changed("nodes", cluster.nodes["n"], deleted=False)
    wishes.take()
    take_in = partial(intake.changed, "nodes", deleted=False)
    await BoardKeeper(caches, cluster, lambda: datetime(2026, 1, 1, tzinfo=UTC), take_in).reconcile("n")
    assert "deployment ns/driver" in wishes.take(), "its last board is out of service now: it has to say so"
    intake.changed("nodes", cluster.nodes["n"], deleted=False)
    assert wishes.take() == []


def test_marks_of_others_on_a_node_ask_for_nothing() -> None:
    intake, wishes = _intake()
    board = {"dms.edge/board": "qcs8255"}
    intake.changed("nodes", _node(1, **board), deleted=False)
    wishes.take()
    intake.changed("nodes", _node(2, **board, example="x"), deleted=False)
    assert wishes.take() == []


def test_kopf_is_told_to_list_in_pages_and_to_write_nothing() -> None:
    settings = kopf_settings()
    assert settings.watching.chunk_size == PAGE_SIZE
    assert not settings.posting.enabled
    assert settings.scanning.disabled


def _waiting(name: str, version: int, created: int, node: str = "") -> dict[str, Any]:
    spec = {"nodeName": node, "nodeSelector": {"dms.edge/board": "qcs8255"}}
    body = _body(f"{name}-pod", version, ("Job", f"{name}-job"), spec=spec, status={"phase": "Pending"})
    body["metadata"] |= {
        "creationTimestamp": f"2026-11-23T12:00:{created:02}Z",
        "labels": {"dms.edge/stage": "benchmark"},
    }
    return body


def test_who_moves_up_in_the_line_for_a_board_is_asked_for_and_who_stays_is_not() -> None:
    intake, wishes = _intake()
    for number, name in enumerate(("one", "two", "three")):
        intake.changed("jobs", _body(f"{name}-job", number + 1, ("DMSModelDeployment", name)), deleted=False)
        intake.changed("pods", _waiting(name, number + 1, created=number), deleted=False)
    wishes.take()
    intake.changed("pods", _waiting("two", 9, created=1, node="bench"), deleted=False)
    assert sorted(set(wishes.take())) == ["deployment ns/three", "deployment ns/two"]
    intake.changed("pods", _waiting("one", 10, created=0), deleted=True)
    assert sorted(set(wishes.take())) == ["deployment ns/one", "deployment ns/three"]


def _vehicle(name: str, version: int, ready: str = "True", heartbeat: str = "then") -> dict[str, Any]:
    body = _body(name, version)
    del body["metadata"]["namespace"]
    body["metadata"] |= {"labels": {"dms.edge/vehicle": "qcs8255"}, "creationTimestamp": "2026-11-29T06:00:00Z"}
    return body | {"status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat}]}}


def _rollout(name: str, version: int) -> dict[str, Any]:
    return _body(name, version, spec={"rollout": {"waves": [{"name": "fleet", "size": "100%"}]}})


def test_a_vehicle_asks_for_the_deployments_that_roll_out_and_for_no_other() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _rollout("rolls", 1), deleted=False)
    intake.changed("deployments", _body("builds", 2, spec={}), deleted=False)
    wishes.take()
    intake.changed("vehicles", _vehicle("car", 3), deleted=False)
    intake.changed("vehicles", _vehicle("car", 4, ready="Unknown"), deleted=False)
    intake.changed("vehicles", _vehicle("car", 4, ready="Unknown"), deleted=True)
    assert wishes.take() == ["deployment ns/rolls"] * 3


def test_a_heartbeat_of_a_vehicle_asks_for_nothing() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _rollout("rolls", 1), deleted=False)
    intake.changed("vehicles", _vehicle("car", 2), deleted=False)
    wishes.take()
    intake.changed("vehicles", _vehicle("car", 3, heartbeat="now"), deleted=False)
    assert wishes.take() == []


def test_a_deployment_that_stops_rolling_out_or_goes_is_not_asked_for_any_more() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _rollout("stops", 1), deleted=False)
    intake.changed("deployments", _rollout("goes", 1), deleted=False)
    intake.changed("deployments", _body("stops", 2, spec={}), deleted=False)
    intake.changed("deployments", _rollout("goes", 2), deleted=True)
    wishes.take()
    intake.changed("vehicles", _vehicle("car", 3), deleted=False)
    assert wishes.take() == []


def test_a_page_of_vehicles_asks_for_each_rollout_once() -> None:
    intake, wishes = _intake()
    intake.changed("deployments", _rollout("rolls", 1), deleted=False)
    wishes.take()
    intake.page(Stream("vehicles", None), _page(*(_vehicle(f"car-{number}", 2) for number in range(9))), True)
    assert wishes.take() == ["deployment ns/rolls"]
    intake.page(Stream("vehicles", None), _page(), True)
    assert wishes.take() == ["deployment ns/rolls"]
