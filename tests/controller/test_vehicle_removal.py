"""A deployment that goes takes its model off its vehicles when asked, and no vehicle can hold it up."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.builders import COCKPIT, START, changed, deployment, spec
from controller.recording import RecordingCluster, relist
from controller.test_fleet_view import node
from controller.test_vehicle_jobs import ACTIVATE, DIGEST, FLEET, PREFETCH, job
from dms_operator.api.stages import Recipe, StageRequest, StageResult, recipe_digest
from dms_operator.api.vehicle import DeactivateRecipe, VehicleFacts
from dms_operator.controller.caches import Caches, ObjectName
from dms_operator.controller.kube import ApiError
from dms_operator.controller.metrics import Metrics
from dms_operator.controller.reconcile import Reconciler
from dms_operator.controller.settings import Settings

NAME = ObjectName("perception", "driver")
LABEL = "perception.revision.dms.edge/driver"
STAMP = START.strftime("%Y-%m-%dT%H:%M:%SZ")
ONE, TWO = "1" * 16, "2" * 16
SETTINGS = changed(**FLEET)
TARGET = {"target": "cockpit", "board": "qcs8255", "toolchain": "qnn", "compiled": DIGEST, "benchmark": DIGEST}
LIMIT = timedelta(seconds=SETTINGS.deadline("deactivate") + 61)
RELEASES = [{"revision": ONE, "targets": [TARGET]}]


def going(policy: str = "Remove", at_once: str = "100%", **metadata: Any) -> dict[str, Any]:
    """A deployment that is being deleted, and has rolled out."""
    rollout = {"waves": [{"name": "fleet", "size": "100%"}], "deletionPolicy": policy, "maxUnavailable": at_once}
    body = deployment(spec(COCKPIT, rollout=rollout))
    body["metadata"] |= {"deletionTimestamp": STAMP, "finalizers": ["dms.edge/operator"], **metadata}
    return body | {"status": {"revision": {"current": ONE, "stable": ONE, "releases": RELEASES}}}


@dataclass
class Leaving:
    """A cluster with vehicles, and an operator that sees all of it and remembers nothing."""

    cluster: RecordingCluster = field(default_factory=RecordingCluster)
    now: datetime = START
    settings: Settings = SETTINGS

    def put(self, body: dict[str, Any]) -> "Leaving":
        self.cluster.put_deployment(body)
        return self

    def vehicle(self, name: str, revision: str = ONE, **more: Any) -> "Leaving":
        marks = more.pop("marks", {}) | ({LABEL: revision} if revision else {})
        self.cluster.nodes[name] = self.cluster.stamp(node(name, marks=marks, **more))
        return self

    async def reconcile(self) -> float | None:
        caches = Caches()
        relist(caches.deployments, deepcopy(list(self.cluster.deployments.values())))
        relist(caches.jobs, deepcopy(list(self.cluster.jobs.values())))
        relist(caches.pods, deepcopy(self.cluster.pods))
        relist(caches.vehicles, deepcopy(list(self.cluster.nodes.values())))
        metrics = Metrics(caches, lambda: 0, CollectorRegistry())
        wait = await Reconciler(caches, self.cluster, self.settings, metrics, lambda: self.now).reconcile(NAME)
        for each in self.cluster.jobs.values():
            each["metadata"].setdefault("creationTimestamp", self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return wait

    async def settle(self) -> None:
        """Until nothing is to be done at once."""
        while await self.reconcile() == 0.0:
            pass

    @property
    def freeing(self) -> dict[str, DeactivateRecipe]:
        """Recipes of the Jobs that free vehicles, by vehicle."""
        found = {}
        for each in self.cluster.jobs.values():
            recipe = recipe_of(each)
            if isinstance(recipe, DeactivateRecipe):
                found[recipe.node] = recipe
        return found

    def finish(self, vehicle: str, current: str | None = None, kind: str = "Complete") -> None:
        """The Job that frees a vehicle ends; `current` is what lies there then."""
        for each in self.cluster.jobs.values():
            recipe = recipe_of(each)
            if isinstance(recipe, DeactivateRecipe) and recipe.node == vehicle and not each["status"]:
                facts = VehicleFacts(node=vehicle, revision=current)
                answer = StageResult(stage="deactivate", recipe=recipe_digest(recipe), vehicle=facts)
                self.end(each, answer if kind == "Complete" else None, kind)

    def end(self, body: dict[str, Any], answer: StageResult | None, kind: str = "Complete") -> None:
        condition = {"type": kind, "status": "True", "lastTransitionTime": STAMP}
        body["status"] = {"startTime": STAMP, "completionTime": STAMP, "conditions": [condition]}
        self.cluster.stamp(body)
        if answer:
            self.cluster.pods.append(pod_of(body, answer, self.cluster.version))

    @property
    def is_gone(self) -> bool:
        return NAME not in self.cluster.deployments

    @property
    def told(self) -> list[str]:
        return [f"{event['type']} {event['message']}" for event in self.cluster.events.values()]

    def label_of(self, vehicle: str) -> str | None:
        found: str | None = self.cluster.nodes[vehicle]["metadata"]["labels"].get(LABEL)
        return found


def recipe_of(body: dict[str, Any]) -> Recipe:
    environment = body["spec"]["template"]["spec"]["containers"][0]["env"]
    return StageRequest.model_validate_json(environment[0]["value"]).recipe


def pod_of(body: dict[str, Any], answer: StageResult, version: int) -> dict[str, Any]:
    name = body["metadata"]["name"]
    owner = {"kind": "Job", "name": name, "uid": body["metadata"]["uid"], "controller": True}
    ended = {"exitCode": 0, "message": answer.model_dump_json(by_alias=True, exclude_none=True)}
    return {
        "metadata": {
            "name": f"{name}-x",
            "namespace": "perception",
            "uid": f"pod-{version}",
            "resourceVersion": str(version),
            "labels": body["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": {},
        "status": {"phase": "Succeeded", "containerStatuses": [{"name": "stage", "state": {"terminated": ended}}]},
    }


async def test_every_vehicle_is_freed_then_the_deployment_goes() -> None:
    leaving = Leaving().put(going()).vehicle("car").vehicle("van").vehicle("untouched", revision="")
    await leaving.settle()
    assert {name: recipe.revision for name, recipe in leaving.freeing.items()} == {"car": ONE, "van": ONE}
    assert not leaving.is_gone
    leaving.finish("car")
    await leaving.settle()
    assert (leaving.label_of("car"), leaving.label_of("van"), leaving.is_gone) == (None, ONE, False)
    leaving.finish("van")
    await leaving.settle()
    assert leaving.is_gone
    assert leaving.told == ["Normal model removed from 2 vehicles"]


async def test_the_finalizer_is_there_before_the_first_vehicle_and_goes_with_the_wish() -> None:
    for policy, wanted in (("Remove", ["dms.edge/operator"]), ("Retain", [])):
        leaving = Leaving()
        body = going(policy)
        del body["metadata"]["deletionTimestamp"]
        body["metadata"]["finalizers"] = [] if wanted else ["dms.edge/operator"]
        await leaving.put(body).reconcile()
        assert leaving.cluster.deployments[NAME]["metadata"]["finalizers"] == wanted


async def test_models_that_are_to_stay_stay() -> None:
    leaving = Leaving().put(going("Retain")).vehicle("car")
    await leaving.settle()
    assert leaving.is_gone and leaving.freeing == {} and leaving.label_of("car") == ONE


async def test_jobs_of_the_rollout_end_first_and_what_they_may_have_brought_goes_too() -> None:
    leaving = Leaving().put(going()).vehicle("car-7", revision="")
    activating = leaving.cluster.stamp(job(ACTIVATE))
    activating["metadata"]["uid"] = "uid-of-activate"
    running = pod_of(activating, StageResult(stage="activate", recipe=recipe_digest(ACTIVATE)), 1)
    running["status"] = {"phase": "Running"}
    leaving.cluster.jobs[ObjectName.of(activating)] = {**activating, "status": {"startTime": STAMP}}
    leaving.cluster.pods.append(running)
    await leaving.reconcile()
    assert leaving.label_of("car-7") == ACTIVATE.revision, "written down before the Job that knew it is gone"
    assert leaving.cluster.writes == [
        f"label_node car-7 {LABEL}={ACTIVATE.revision}",
        f"delete_job {activating['metadata']['name']}",
    ]
    await leaving.settle()
    assert leaving.freeing["car-7"].revision == ACTIVATE.revision


async def test_a_vehicle_on_which_something_else_lies_is_freed_of_that() -> None:
    leaving = Leaving().put(going()).vehicle("car")
    await leaving.settle()
    leaving.finish("car", current=TWO)
    await leaving.settle()
    assert leaving.label_of("car") == TWO
    assert leaving.freeing["car"].revision == TWO
    leaving.finish("car")
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car") is None


async def test_a_dead_vehicle_holds_nothing_up_for_longer_than_the_deadline() -> None:
    leaving = Leaving().put(going()).vehicle("car").vehicle("dead", ready="Unknown")
    await leaving.settle()
    leaving.finish("car")
    await leaving.settle()
    wait = await leaving.reconcile()
    assert wait is not None and 0 < wait <= SETTINGS.deadline("deactivate") + 60
    assert not leaving.is_gone
    leaving.now += timedelta(seconds=SETTINGS.deadline("deactivate") + 61)
    await leaving.settle()
    assert leaving.is_gone
    assert leaving.told == [
        "Warning model removed from 1 vehicle; it stays on dead (no answer in time); "
        f"kubectl get nodes -l {LABEL} names those that nobody tried"
    ]
    assert leaving.label_of("dead") == ONE, "nothing was done there"


async def test_no_more_vehicles_than_may_be_unavailable_are_worked_on_at_a_time() -> None:
    leaving = Leaving().put(going(at_once="2"))
    for number in range(5):
        leaving.vehicle(f"car-{number}")
    leaving.vehicle("away", ready="Unknown")
    worked_on: list[set[str]] = []
    for _ in range(10):
        await leaving.settle()
        busy = {each for each in leaving.freeing if leaving.label_of(each)}
        if not busy:
            break
        worked_on.append(busy)
        leaving.finish(min(busy))
    assert max(map(len, worked_on)) == 2
    assert set().union(*worked_on) == {f"car-{number}" for number in range(5)}
    assert not leaving.is_gone, "who is away is waited for, and holds no slot"
    leaving.now += LIMIT
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("away") == ONE


async def test_a_share_is_one_of_the_fleet_and_not_of_those_that_are_left() -> None:
    leaving = Leaving().put(going(at_once="50%"))
    for number in range(4):
        leaving.vehicle(f"car-{number}")
    await leaving.settle()
    assert set(leaving.freeing) == {"car-0", "car-1"}
    leaving.finish("car-0")
    leaving.finish("car-1")
    await leaving.settle()
    assert set(leaving.freeing) == {"car-0", "car-1", "car-2", "car-3"}


async def test_jobs_that_come_to_no_end_hold_their_slots_for_no_longer_than_the_deadline() -> None:
    leaving = Leaving().put(going(at_once="1"))
    for number in range(3):
        leaving.vehicle(f"car-{number}")
    for number in range(3):
        await leaving.settle()
        assert len(leaving.freeing) == number + 1
        leaving.now += LIMIT
    await leaving.settle()
    assert leaving.is_gone
    [told] = leaving.told
    assert told.startswith("Warning model removed from 0 vehicles; it stays on car-0 (no answer in time), car-1")


async def test_who_comes_back_in_time_has_all_the_time_that_its_job_may_take() -> None:
    leaving = Leaving().put(going()).vehicle("car", ready="Unknown")
    await leaving.settle()
    assert leaving.freeing == {}
    leaving.now += LIMIT - timedelta(seconds=2)
    await leaving.vehicle("car").settle()
    leaving.now += timedelta(seconds=60)
    await leaving.settle()
    assert set(leaving.freeing) == {"car"} and not leaving.is_gone
    leaving.finish("car")
    await leaving.settle()
    assert leaving.is_gone and leaving.label_of("car") is None


async def test_an_api_server_that_takes_no_job_for_a_while_ends_no_removal_that_still_has_time() -> None:
    leaving = Leaving().put(going(at_once="1"))
    for number in range(3):
        leaving.vehicle(f"car-{number}")
    await leaving.settle()
    leaving.finish("car-0")
    leaving.now += LIMIT + timedelta(seconds=SETTINGS.deadline("remove") + 61)
    leaving.cluster.faults["create_job"] = ApiError(500, "InternalError", "etcd is slow")
    with pytest.raises(ApiError):
        await leaving.settle()
    assert not leaving.is_gone


async def test_a_held_vehicle_is_not_touched_and_one_that_fails_is_not_waited_for() -> None:
    leaving = Leaving().put(going()).vehicle("held", marks={"dms.edge/hold": "true"}).vehicle("broken")
    await leaving.settle()
    assert set(leaving.freeing) == {"broken"}
    leaving.finish("broken", kind="Failed")
    await leaving.settle()
    assert leaving.is_gone
    [told] = leaving.told
    assert told.startswith("Warning model removed from 0 vehicles; it stays on ")
    assert "held (held)" in told and "broken (" in told
    assert leaving.label_of("held") == ONE
    assert leaving.label_of("broken") is None, "nobody knows what its Job has left"


async def test_the_job_that_switched_a_vehicle_tells_what_lies_there_and_not_the_one_that_fetched() -> None:
    for order in ((ACTIVATE, PREFETCH), (PREFETCH, ACTIVATE)):
        leaving = Leaving().put(going()).vehicle("car-7")
        for recipe in order:
            body = leaving.cluster.stamp(job(recipe))
            body["metadata"]["uid"] = f"uid-of-{recipe.stage}"
            leaving.cluster.jobs[ObjectName.of(body)] = body
            facts = VehicleFacts(node="car-7", revision=recipe.revision)
            leaving.end(body, StageResult(stage=recipe.stage, recipe=recipe_digest(recipe), vehicle=facts))
        await leaving.reconcile()
        assert leaving.label_of("car-7") == ACTIVATE.revision


async def test_an_answer_that_is_lost_is_asked_for_again() -> None:
    leaving = Leaving().put(going()).vehicle("car")
    await leaving.settle()
    [freeing] = [each for each in leaving.cluster.jobs.values() if isinstance(recipe_of(each), DeactivateRecipe)]
    leaving.end(freeing, None)
    wait = await leaving.reconcile()
    assert wait is not None and wait <= 15 and len(leaving.freeing) == 1
    leaving.now += timedelta(seconds=16)
    await leaving.reconcile()
    assert leaving.freeing == {}
    await leaving.settle()
    leaving.finish("car")
    await leaving.settle()
    assert leaving.is_gone


async def test_jobs_that_free_vehicles_outlive_a_foreground_deletion_and_end_by_themselves() -> None:
    leaving = Leaving().put(going()).vehicle("car")
    await leaving.settle()
    [body] = leaving.cluster.jobs.values()
    assert "ownerReferences" not in body["metadata"]
    assert body["spec"]["activeDeadlineSeconds"] == SETTINGS.deadline("deactivate")
    assert body["spec"]["ttlSecondsAfterFinished"] > 0


async def test_an_earlier_deployment_of_the_same_name_has_jobs_of_its_own() -> None:
    earlier = Leaving().put(going(uid="earlier")).vehicle("car")
    await earlier.settle()
    earlier.finish("car")
    later = Leaving(earlier.cluster).vehicle("car").put(going(uid="later"))
    await later.settle()
    assert not later.is_gone and len(later.cluster.jobs) == 2


async def test_artifacts_go_after_the_vehicles_are_done_with() -> None:
    body = going(annotations={"dms.edge/delete-artifacts": "true"})
    leaving = Leaving().put(body).vehicle("car")
    await leaving.settle()
    assert set(leaving.freeing) == {"car"} and len(leaving.cluster.jobs) == 1
    leaving.finish("car")
    await leaving.settle()
    assert leaving.is_gone
    assert leaving.told == [
        "Normal model removed from 1 vehicle",
        "Normal no artifact removed: there are none",
    ]


async def test_a_namespace_that_takes_no_job_does_not_hold_up_the_deletion() -> None:
    leaving = Leaving().put(going()).vehicle("car")
    leaving.cluster.faults["create_job"] = ApiError(403, "Forbidden", "the namespace is being terminated")
    await leaving.settle()
    assert leaving.is_gone
    assert "cannot be created" in leaving.told[0]


async def test_without_settings_for_a_fleet_it_is_told_what_stays() -> None:
    leaving = Leaving(settings=changed()).put(going()).vehicle("car")
    await leaving.settle()
    assert leaving.is_gone
    assert leaving.told == [
        "Warning model removed from 0 vehicles; it stays on car (no image and volume for it in the settings); "
        f"kubectl get nodes -l {LABEL} names those that nobody tried"
    ]
