"""A deployment's artifacts stay unless its annotation asks; others' artifacts stay whatever it asks."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.builders import COCKPIT, SETTINGS, START, Script, World, changed, deployment, spec
from controller.recording import RecordingCluster, relist
from dms_operator.api.stages import Failure, RemovalFacts, RemoveRecipe, StageRequest, StageResult, recipe_digest
from dms_operator.controller.caches import Caches, ObjectName
from dms_operator.controller.kube import ApiError
from dms_operator.controller.metrics import Metrics
from dms_operator.controller.reconcile import Reconciler
from dms_operator.controller.shared_artifacts import used_by_others

FINALIZER = "dms.edge/operator"
ASKED = {"dms.edge/delete-artifacts": "true"}
NAME = ObjectName("perception", "driver")
STAMP = "2026-11-23T12:00:00Z"


def ready(name: str = "driver", **changes: Any) -> dict[str, Any]:
    """A deployment that got Ready."""
    done = World(deployment(spec(COCKPIT, **changes), name), Script())
    return done.run().body


def asking(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "annotations": dict(ASKED)}}


def deleted(body: dict[str, Any]) -> dict[str, Any]:
    going = {"deletionTimestamp": STAMP, "finalizers": [FINALIZER]}
    return {**body, "metadata": {**body["metadata"], **going}}


@dataclass
class Cleaning:
    """A cluster and an operator that sees all of it."""

    cluster: RecordingCluster = field(default_factory=RecordingCluster)
    now: datetime = START

    def put(self, *bodies: dict[str, Any]) -> "Cleaning":
        for body in bodies:
            self.cluster.put_deployment(body)
        return self

    async def reconcile(self, name: ObjectName = NAME) -> float | None:
        caches = Caches()
        relist(caches.deployments, deepcopy(list(self.cluster.deployments.values())))
        relist(caches.jobs, deepcopy(list(self.cluster.jobs.values())))
        relist(caches.pods, deepcopy(self.cluster.pods))
        metrics = Metrics(caches, lambda: 0, CollectorRegistry())
        return await Reconciler(caches, self.cluster, SETTINGS, metrics, lambda: self.now).reconcile(name)

    @property
    def removal_job(self) -> dict[str, Any]:
        (job,) = [job for job in self.cluster.jobs.values() if job["metadata"]["labels"]["dms.edge/stage"] == "remove"]
        return job

    @property
    def recipe(self) -> RemoveRecipe:
        environment = self.removal_job["spec"]["template"]["spec"]["containers"][0]["env"]
        recipe = StageRequest.model_validate_json(environment[0]["value"]).recipe
        assert isinstance(recipe, RemoveRecipe)
        return recipe

    def finish(self, failure: Failure | None = None, kind: str = "Complete") -> None:
        """The removal Job's pod answers."""
        facts = RemovalFacts(artifacts=len(self.recipe.artifacts), recipes=1, freed_bytes=2_500_000)
        answer = StageResult(stage="remove", recipe=recipe_digest(self.recipe), removal=facts)
        if failure:
            answer = StageResult(stage="remove", recipe=recipe_digest(self.recipe), failure=failure)
        self.end(kind)
        job = self.removal_job["metadata"]
        owner = {"kind": "Job", "name": job["name"], "uid": job["uid"], "controller": True}
        state = {"terminated": {"exitCode": 10 if failure else 0, "message": answer.model_dump_json(by_alias=True)}}
        phase = "Failed" if failure else "Succeeded"
        pod = {
            "metadata": {"name": "pod", "namespace": "perception", "uid": "pod", "ownerReferences": [owner]},
            "spec": {},
            "status": {"phase": phase, "containerStatuses": [{"name": "stage", "state": state}]},
        }
        self.cluster.pods.append(self.cluster.stamp(pod))

    def end(self, kind: str, reason: str = "") -> None:
        condition = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": STAMP}
        self.removal_job["status"] = {"conditions": [condition]}
        self.cluster.stamp(self.removal_job)

    @property
    def event(self) -> dict[str, Any]:
        (event,) = self.cluster.events.values()
        return event

    @property
    def is_gone(self) -> bool:
        return NAME not in self.cluster.deployments


@pytest.fixture
def cleaning() -> Cleaning:
    return Cleaning()


@pytest.fixture(scope="module")
def driver() -> dict[str, Any]:
    return ready()


def artifacts(body: dict[str, Any]) -> set[str]:
    status = body["status"]
    candidates = [candidate for target in status["targets"] for candidate in target["candidates"]]
    holders = [status["model"], *status["variants"], *(c["compiled"] for c in candidates)]
    return {holder["artifact"]["digest"] for holder in [*holders, *(c["benchmark"] for c in candidates)]}


async def test_the_annotation_puts_the_finalizer_on_and_its_end_takes_it_off(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(asking(driver))
    await cleaning.reconcile()
    assert cleaning.cluster.deployments[NAME]["metadata"]["finalizers"] == [FINALIZER]
    cleaning.cluster.calls.clear()
    await cleaning.reconcile()
    assert cleaning.cluster.writes == []
    kept = deepcopy(cleaning.cluster.deployments[NAME])
    kept["metadata"] |= {"annotations": {}, "finalizers": ["someone/else", FINALIZER]}
    cleaning.put(kept)
    await cleaning.reconcile()
    assert cleaning.cluster.deployments[NAME]["metadata"]["finalizers"] == ["someone/else"]


async def test_without_the_annotation_no_finalizer_is_ever_put(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    cleaning.put(driver)
    await cleaning.reconcile()
    assert not any(call.startswith("set_finalizers") for call in cleaning.cluster.calls)


async def test_a_finalizer_that_someone_changed_meanwhile_is_tried_again(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(asking(driver))
    cleaning.cluster.faults["set_finalizers"] = ApiError(409, "Conflict", "the object has been modified")
    with pytest.raises(ApiError):
        await cleaning.reconcile()
    await cleaning.reconcile()
    assert cleaning.cluster.deployments[NAME]["metadata"]["finalizers"] == [FINALIZER]


async def test_every_artifact_is_removed_then_the_deployment_goes(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    cleaning.put(deleted(asking(driver)))
    await cleaning.reconcile()
    assert set(cleaning.recipe.artifacts) == artifacts(driver)
    assert len(cleaning.recipe.recipes) == 5
    assert not cleaning.is_gone
    cleaning.finish()
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert cleaning.event["reason"] == "CleanedUp"
    assert cleaning.event["message"] == "5 artifacts removed, 2.5 MB freed"


async def test_running_stages_end_with_their_pods_before_anything_is_removed(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(asking(deployment(spec(COCKPIT))))
    await cleaning.reconcile()
    (job,) = cleaning.cluster.jobs.values()
    half = deepcopy(driver)
    cleaning.put(deleted(asking(half)))
    step = job["metadata"]
    await cleaning.reconcile()
    assert ObjectName.of(job) not in cleaning.cluster.jobs
    cleaning.cluster.jobs[ObjectName.of(job)] = job | {"metadata": {**step, "deletionTimestamp": STAMP}}
    await cleaning.reconcile()
    assert len(cleaning.cluster.jobs) == 1
    del cleaning.cluster.jobs[ObjectName.of(job)]
    await cleaning.reconcile()
    assert cleaning.removal_job


async def test_the_removal_job_is_bounded_and_outlives_its_deployment(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deleted(asking(driver)))
    await cleaning.reconcile()
    job = cleaning.removal_job
    assert "ownerReferences" not in job["metadata"]
    assert job["spec"]["activeDeadlineSeconds"] == 600
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    assert Caches().deployment_of(job) == NAME


async def test_what_another_deployment_of_the_store_uses_stays(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    other = ready("other", quantization={"precisions": ["fp16"]})
    shared = artifacts(driver) & artifacts(other)
    assert len(shared) == 2
    cleaning.put(other, deleted(asking(driver)))
    await cleaning.reconcile()
    assert set(cleaning.recipe.artifacts) == artifacts(driver) - shared
    cleaning.finish()
    await cleaning.reconcile()
    assert cleaning.event["message"] == "3 artifacts removed, 2.5 MB freed; 2 stay: other deployments use them"


async def test_when_all_is_shared_no_job_is_made(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    cleaning.put(ready("other"), deleted(asking(driver)))
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert cleaning.cluster.jobs == {}
    assert cleaning.event["message"] == "no artifact removed: other deployments use them all"


async def test_of_two_that_go_together_neither_keeps_the_others_artifacts(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deleted(asking(ready("other"))), deleted(asking(driver)))
    await cleaning.reconcile()
    assert set(cleaning.recipe.artifacts) == artifacts(driver)


def used(driver: dict[str, Any], *others: dict[str, Any], jobs: Sequence[dict[str, Any]] = ()) -> frozenset[str]:
    caches = Caches()
    relist(caches.deployments, deepcopy([driver, *others]))
    relist(caches.jobs, deepcopy(list(jobs)))
    return used_by_others(driver, caches.deployments, caches.jobs)


def test_a_store_of_another_name_shares_nothing(driver: dict[str, Any]) -> None:
    assert used(driver, ready("other", artifacts={"uri": "file:///elsewhere"})) == frozenset()
    assert artifacts(driver) <= used(driver, ready("other", artifacts={"uri": "file:///artifacts/"}))


def test_of_those_that_go_with_their_artifacts_none_counts_as_a_user(driver: dict[str, Any]) -> None:
    assert used(driver, deleted(asking(ready("other")))) == frozenset()
    assert artifacts(driver) <= used(driver, deleted(ready("other")))


def test_a_recipe_that_another_deployments_job_works_on_counts_as_used(driver: dict[str, Any]) -> None:
    recipe, other = driver["status"]["model"]["recipe"], deployment(name="other")
    owner = {"kind": "DMSModelDeployment", "name": "other", "uid": other["metadata"]["uid"], "controller": True}
    metadata = {"name": "job", "namespace": "perception", "uid": "job", "ownerReferences": [owner]}
    job = {"metadata": {**metadata, "annotations": {"dms.edge/recipe-digest": recipe}}}
    assert used(driver, other, jobs=[job]) == {recipe}


async def test_an_artifact_stays_while_its_recipe_is_being_asked_for(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deployment(spec(COCKPIT), "other"))
    await cleaning.reconcile(ObjectName("perception", "other"))
    cleaning.put(deleted(asking(driver)))
    await cleaning.reconcile()
    assert driver["status"]["model"]["artifact"]["digest"] not in cleaning.recipe.artifacts
    assert driver["status"]["model"]["recipe"] not in cleaning.recipe.recipes


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (Failure(reason="StoreUnwritable", message="the store is read-only", retryable=False), "read-only"),
        (None, "deadline"),
    ],
)
async def test_a_removal_that_fails_is_told_and_does_not_hold_up_the_deletion(
    cleaning: Cleaning, driver: dict[str, Any], failure: Failure | None, says: str
) -> None:
    cleaning.put(deleted(asking(driver)))
    await cleaning.reconcile()
    if failure:
        cleaning.finish(failure, "Failed")
    else:
        cleaning.end("Failed", "the deadline passed")
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert (cleaning.event["type"], cleaning.event["reason"]) == ("Warning", "CleanupFailed")
    assert says in cleaning.event["message"]
    assert "file:///artifacts" in cleaning.event["message"]


async def test_a_removal_job_that_never_ends_is_given_up(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    cleaning.put(deleted(asking(driver)))
    await cleaning.reconcile()
    cleaning.removal_job["metadata"]["creationTimestamp"] = STAMP
    await cleaning.reconcile()
    assert not cleaning.is_gone
    cleaning.now += timedelta(minutes=12)
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert "does not end" in cleaning.event["message"]


async def test_a_stage_job_that_never_ends_is_given_up(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    cleaning.put(asking(deployment(spec(COCKPIT))))
    await cleaning.reconcile()
    (job,) = cleaning.cluster.jobs.values()
    job["metadata"]["deletionTimestamp"] = STAMP
    cleaning.put(deleted(asking(driver)))
    cleaning.now += timedelta(minutes=12)
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert "does not end" in cleaning.event["message"]


async def test_a_cluster_that_takes_no_job_does_not_hold_up_the_deletion(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deleted(asking(driver)))
    cleaning.cluster.faults["create_job"] = ApiError(403, "Forbidden", "the namespace is being terminated")
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert "the namespace is being terminated" in cleaning.event["message"]


async def test_an_api_that_is_unwell_is_asked_again_until_the_deadline(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deleted(asking(driver)))
    cleaning.cluster.faults["create_job"] = ApiError(500, "InternalError", "etcd is away")
    with pytest.raises(ApiError):
        await cleaning.reconcile()
    cleaning.now += timedelta(minutes=12)
    cleaning.cluster.faults["create_job"] = ApiError(500, "InternalError", "etcd is away")
    await cleaning.reconcile()
    assert cleaning.is_gone


async def test_an_answer_that_is_lost_is_waited_for_and_then_done_without(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deleted(asking(driver)))
    await cleaning.reconcile()
    cleaning.end("Complete")
    assert await cleaning.reconcile() == 15
    cleaning.now += timedelta(seconds=15)
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert "answer is lost" in cleaning.event["message"]


async def test_a_deployment_that_made_nothing_or_cannot_be_read_goes_at_once(cleaning: Cleaning) -> None:
    for wanted, says in ((spec(COCKPIT), "there are none"), ({"targets": []}, "the spec is invalid")):
        cleaning.cluster.events.clear()
        cleaning.put(deleted(asking(deployment(wanted))))
        await cleaning.reconcile()
        assert cleaning.is_gone
        assert says in cleaning.event["message"]


async def test_who_takes_the_annotation_back_after_the_deletion_keeps_the_artifacts(
    cleaning: Cleaning, driver: dict[str, Any]
) -> None:
    cleaning.put(deleted(driver))
    await cleaning.reconcile()
    assert cleaning.is_gone
    assert cleaning.cluster.jobs == {}


async def test_another_finalizer_is_left_alone(cleaning: Cleaning, driver: dict[str, Any]) -> None:
    body = deleted(driver)
    body["metadata"]["finalizers"] = ["someone/else", FINALIZER]
    cleaning.put(body)
    await cleaning.reconcile()
    assert cleaning.cluster.deployments[NAME]["metadata"]["finalizers"] == ["someone/else"]
    cleaning.cluster.calls.clear()
    assert await cleaning.reconcile() is None
    assert cleaning.cluster.calls == []


def test_the_deadline_is_a_setting() -> None:
    assert changed(deadlines={"remove": "30s"}).deadline("remove") == 30
