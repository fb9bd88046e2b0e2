"""Observe, plan, act: how often the API is asked, and what happens when it refuses."""

from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.builders import COCKPIT, SETTINGS, START, Script, deployment, spec
from controller.recording import RecordingCluster, relist
from dms_operator.api.stages import StageRequest
from dms_operator.controller.caches import Caches, ObjectName
from dms_operator.controller.kube import ApiError
from dms_operator.controller.metrics import Metrics
from dms_operator.controller.reconcile import Reconciler

NAME = ObjectName("perception", "driver")


class World:
    """A recording cluster, a reconciler, and the watch events between them, delivered when the test says so."""

    def __init__(self) -> None:
        self.cluster = RecordingCluster()
        self.restart()
        self.apply(deployment(spec(COCKPIT)))
        self.caches.nodes.put(
            {
                "metadata": {
                    "name": "board",
                    "uid": "n",
                    "resourceVersion": "1",
                    "labels": {"dms.edge/board": "qcs8255"},
                },
                "status": {"allocatable": {"dms.edge/qcs8255": "1"}, "capacity": {"dms.edge/qcs8255": "1"}},
            }
        )

    def restart(self) -> None:
        """A new operator process: nothing is remembered, everything is listed anew."""
        self.caches = Caches()
        self.metrics = Metrics(self.caches, lambda: 0, CollectorRegistry())
        self.reconciler = Reconciler(self.caches, self.cluster, SETTINGS, self.metrics, self.now)
        self.deliver()

    def now(self) -> datetime:
        return START

    def series(self) -> bytes:
        """What Prometheus reads of the deployments."""
        return b"".join(self.metrics.deployments.pieces())

    def apply(self, body: dict[str, Any]) -> None:
        self.caches.deployments.put(self.cluster.put_deployment(body))

    def deliver(self) -> None:
        """All watches catch up."""
        relist(self.caches.deployments, deepcopy(list(self.cluster.deployments.values())))
        relist(self.caches.jobs, deepcopy(list(self.cluster.jobs.values())))
        relist(self.caches.pods, deepcopy(self.cluster.pods))

    def finish_jobs(self, script: Script) -> None:
        """Every Job that has not ended succeeds, and its pod leaves its answer."""
        stamp = START.strftime("%Y-%m-%dT%H:%M:%SZ")
        for job in self.cluster.jobs.values():
            if not job["status"]:
                job["status"] = {
                    "startTime": stamp,
                    "completionTime": stamp,
                    "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": stamp}],
                }
                self.cluster.stamp(job)
                self.cluster.pods.append(self._pod(job, script))

    def _pod(self, job: dict[str, Any], script: Script) -> dict[str, Any]:
        request_variable = job["spec"]["template"]["spec"]["containers"][0]["env"][0]
        request = StageRequest.model_validate_json(request_variable["value"])
        answer = script.answer(request.recipe).model_dump_json(by_alias=True, exclude_none=True)
        metadata = {
            "name": f"{job['metadata']['name']}-x",
            "namespace": "perception",
            "uid": f"pod-{self.cluster.version}",
        }
        owner = {"kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"], "controller": True}
        state = {"terminated": {"exitCode": 0, "message": answer}}
        status = {"phase": "Succeeded", "containerStatuses": [{"name": "stage", "state": state}]}
        return self.cluster.stamp({"metadata": {**metadata, "ownerReferences": [owner]}, "spec": {}, "status": status})

    async def reconcile(self) -> float | None:
        return await self.reconciler.reconcile(NAME)

    async def run(self, script: Script | None = None) -> None:
        """To the end."""
        for _ in range(20):
            await self.reconcile()
            self.finish_jobs(script or Script())
            self.deliver()

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.deployments[NAME].get("status") or {}
        return status


@pytest.fixture
def world() -> World:
    return World()


async def test_a_new_deployment_costs_one_job_one_status_write_and_its_events(world: World) -> None:
    await world.reconcile()
    kinds = [call.split()[0] for call in world.cluster.calls]
    assert kinds[:2] == ["create_job", "patch_status"]
    assert set(kinds[2:]) <= {"post_event"}


async def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    await world.reconcile()
    world.deliver()
    await world.reconcile()
    world.cluster.calls.clear()
    for _ in range(3):
        assert await world.reconcile() is None
    assert world.cluster.calls == []


async def test_our_own_writes_are_known_before_the_watches_tell_of_them(world: World) -> None:
    await world.reconcile()
    world.cluster.calls.clear()
    await world.reconcile()
    assert world.cluster.calls == []


async def test_every_stage_runs_once_and_the_deployment_gets_ready(world: World) -> None:
    await world.run()
    created = [call for call in world.cluster.calls if call.startswith("create_job")]
    assert world.status["phase"] == "Ready"
    assert len(created) == len(set(created)) == 5


async def test_one_status_write_per_step_at_most(world: World) -> None:
    for _ in range(8):
        world.cluster.calls.clear()
        await world.reconcile()
        assert sum(call.startswith("patch_status") for call in world.cluster.calls) <= 1
        world.finish_jobs(Script())
        world.deliver()


async def test_a_restart_at_any_point_resumes_without_a_second_job(world: World) -> None:
    for _ in range(10):
        await world.reconcile()
        world.restart()
        world.finish_jobs(Script())
        world.restart()
    created = [call for call in world.cluster.calls if call.startswith("create_job")]
    assert world.status["phase"] == "Ready"
    assert len(created) == len(set(created)) == 5


async def test_a_crash_between_job_and_status_repeats_harmlessly(world: World) -> None:
    world.cluster.faults["patch_status"] = ApiError(0, "Unreachable", "connection reset")
    with pytest.raises(ApiError):
        await world.reconcile()
    world.restart()
    await world.run()
    assert world.status["phase"] == "Ready"
    assert len(world.cluster.jobs) == 5


async def test_a_job_that_our_cache_does_not_know_yet_is_taken_over(world: World) -> None:
    await world.reconcile()
    relist(world.caches.jobs, [])
    await world.reconcile()
    assert len(world.cluster.jobs) == 1


async def test_a_status_conflict_is_left_to_the_next_try(world: World) -> None:
    world.cluster.put_deployment(world.cluster.deployments[NAME])
    with pytest.raises(ApiError) as refused:
        await world.reconcile()
    assert refused.value.code == 409
    world.deliver()
    await world.reconcile()
    assert world.status["observedGeneration"] == 1


async def test_a_job_of_another_owner_is_neither_used_nor_deleted(world: World) -> None:
    await world.reconcile()
    (job,) = world.cluster.jobs.values()
    job["metadata"]["ownerReferences"][0]["uid"] = "an-earlier-deployment"
    world.restart()
    world.apply({**deployment(spec(COCKPIT)), "status": {}})
    with pytest.raises(ApiError, match="belongs to an-earlier-deployment"):
        await world.reconcile()
    assert list(world.cluster.jobs.values()) == [job]


async def test_a_job_that_the_cluster_refuses_is_told_in_an_event(world: World) -> None:
    world.cluster.faults["create_job"] = ApiError(403, "Forbidden", "exceeded quota: pods")
    with pytest.raises(ApiError):
        await world.reconcile()
    (event,) = world.cluster.events.values()
    assert event["type"] == "Warning"
    assert "exceeded quota: pods" in event["message"]
    await world.reconcile()
    assert len(world.cluster.jobs) == 1


async def test_a_job_that_the_cluster_refuses_is_told_in_status_until_it_is_taken(world: World) -> None:
    for _ in range(2):
        world.cluster.faults["create_job"] = ApiError(403, "Forbidden", "exceeded quota: count/jobs.batch")
        with pytest.raises(ApiError):
            await world.reconcile()
    told = "resolve: the cluster refuses its Job, which is asked for again: exceeded quota: count/jobs.batch"
    assert world.status["summary"]["message"] == told
    assert [(each["reason"], each["status"]) for each in world.status["conditions"] if each["type"] == "Ready"] == [
        ("JobRefused", "False")
    ]
    assert world.cluster.writes.count("patch_status driver") == 1
    await world.reconcile()
    assert world.status["summary"]["message"] == "resolve"
    assert [each["job"] for each in world.status["stages"]] == [name.name for name in world.cluster.jobs]


async def test_an_event_that_cannot_be_posted_holds_up_nothing(world: World) -> None:
    world.cluster.faults["post_event"] = ApiError(500, "InternalError", "etcd is away")
    await world.reconcile()
    assert world.status["observedGeneration"] == 1


async def test_a_lagging_pod_watch_is_bridged_by_one_question(world: World) -> None:
    await world.reconcile()
    world.finish_jobs(Script())
    relist(world.caches.jobs, deepcopy(list(world.cluster.jobs.values())))
    world.cluster.calls.clear()
    await world.reconcile()
    assert sum(call.startswith("pods_of_job") for call in world.cluster.calls) == 1
    assert world.status["model"]["format"]


async def test_a_lost_answer_is_asked_for_once_only(world: World) -> None:
    await world.reconcile()
    world.finish_jobs(Script())
    world.cluster.pods.clear()
    world.deliver()
    for _ in range(3):
        await world.reconcile()
    assert sum(call.startswith("pods_of_job") for call in world.cluster.calls) == 1


async def test_a_deployment_that_is_being_deleted_gets_nothing_new(world: World) -> None:
    body = deployment(spec(COCKPIT))
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.apply(body)
    await world.reconcile()
    assert world.cluster.calls == []


async def test_the_series_of_a_deployment_go_with_it(world: World) -> None:
    await world.run()
    assert b'dms_deployment_phase{deployment="driver",namespace="perception",phase="Ready"} 1.0' in world.series()
    world.cluster.deployments.clear()
    world.deliver()
    await world.reconcile()
    assert b'deployment="driver"' not in world.series()


async def test_an_invalid_spec_is_told_and_starts_nothing(world: World) -> None:
    world.apply(deployment(spec({"name": "entry", "board": "tda4vm", "precisions": ["int4"]})))
    await world.reconcile()
    assert world.cluster.jobs == {}
    assert "TIDL on TDA4VM has no int4" in str(world.status["conditions"])


async def test_a_deployment_that_turns_out_to_be_gone_is_forgotten(world: World) -> None:
    world.cluster.faults["patch_status"] = ApiError(404, "NotFound", "it is gone")
    with pytest.raises(ApiError):
        await world.reconcile()
    world.cluster.calls.clear()
    assert await world.reconcile() is None
    assert world.cluster.calls == []
