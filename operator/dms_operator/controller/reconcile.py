"""Observe, plan, act: brings one deployment a step closer to what its spec asks for.

Looks at the caches, never at events; a repeat changes nothing. At most one status write per call, and none when
nothing changed.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from ..api.labels import FINALIZER, NODE
from ..api.resource import Metadata
from ..api.status import DeploymentStatus
from . import removal
from .board_queue import BoardLines
from .boards import BoardCounts
from .caches import Caches, ObjectName, Raw, has_rollout, owner
from .fleet_view import FleetView
from .jobs import removal_job_name
from .journal import log_event
from .kube import NOT_FOUND, ApiError, Cluster
from .merge import merge_patch
from .observation import NO_FLEET, Observed, is_ours, job_view, observe
from .plan import Plan, plan
from .rollout.fleet import Fleet
from .rollout.plan import readings_wanted
from .rollout_readings import Readings
from .settings import Settings
from .shared_artifacts import used_by_others
from .writer import Writer

SETTLE_SECONDS = 30.0
"""A plan that was carried out is looked at again, should nothing be reported before: by then nothing is left to do."""


class Progress(Protocol):
    """Is told what became of a deployment (metrics)."""

    def status_known(self, name: ObjectName, spec: Raw, status: DeploymentStatus) -> None:
        """The deployment's present status."""

    def status_written(self, name: ObjectName, before: DeploymentStatus, after: DeploymentStatus) -> None:
        """A status was replaced by another."""

    def forget(self, name: ObjectName) -> None:
        """The deployment is gone."""


class Reconciler:
    """Reconciles deployments by name."""

    def __init__(
        self,
        caches: Caches,
        cluster: Cluster,
        settings: Settings,
        progress: Progress,
        now: Callable[[], datetime],
        announce: Callable[[Raw], Awaitable[None]] | None = None,
    ) -> None:
        """`announce` takes the events of deployments; None posts them while the reconcile waits."""
        self._writer = Writer(caches, cluster, now, announce or cluster.post_event)
        self._caches = caches
        self._cluster = cluster
        self._settings = settings
        self._progress = progress
        self._now = now
        self._boards = BoardCounts(caches.nodes)
        self._lines = BoardLines(caches.pods)
        self._fleet = FleetView(caches.vehicles)
        self._readings = Readings(settings.fleet)

    async def reconcile(self, name: ObjectName) -> float | None:
        """Take the next steps; gives the seconds after which to look again, or None. Raises ApiError."""
        body = self._caches.deployments.get(name)
        if body is None:
            self._progress.forget(name)
            self._readings.forget(name)
            return None
        if "deletionTimestamp" in body["metadata"]:
            return await self._clean_up(body) if FINALIZER in body["metadata"].get("finalizers", []) else None
        jobs = self._caches.jobs.owned_by(body["metadata"]["uid"])
        body = await self._set_finalizer(body, on_vehicles=any(map(_is_on_vehicle, jobs)))
        await self._find_lost_pods(jobs)
        observed = await self._observe_with_metrics(body)
        steps = plan(observed, self._settings, self._now())
        acted = await self._act(body, observed, steps)
        if steps.node_labels:
            return 0.0  # the cache knows the labels, so that no event will tell of them
        return _settled(steps.requeue_after) if acted else steps.requeue_after

    def _observe(self, body: Raw) -> Observed:
        jobs = self._caches.jobs.owned_by(body["metadata"]["uid"])
        with_pods = [(job, self._caches.pods.owned_by(job["metadata"]["uid"])) for job in jobs]
        fleet = Fleet(self._fleet.of(ObjectName.of(body))) if has_rollout(body) else NO_FLEET
        return observe(body, with_pods, self._boards(), self._lines.place, fleet)

    async def _observe_with_metrics(self, body: Raw) -> Observed:
        """All there is, with what the rollout's gates judge."""
        observed, name = self._observe(body), ObjectName.of(body)
        wanted = readings_wanted(observed, self._now())
        if not wanted:
            self._readings.forget(name)
            return observed
        read = await self._readings.add_to(observed.fleet, name, wanted)
        # Vehicles and Jobs have moved on while metrics were read: what is planned has to fit what is there now.
        observed = self._observe(body)
        return replace(observed, fleet=replace(read, vehicles=observed.fleet.vehicles))

    async def _set_finalizer(self, body: dict[str, Any], *, on_vehicles: bool) -> dict[str, Any]:
        """Put the finalizer on, or take it off; gives the deployment as it is then."""
        name = ObjectName.of(body)
        metadata = Metadata.model_validate(body["metadata"])
        wanted = removal.finalizers(metadata, body["spec"], on_vehicles=on_vehicles)
        if wanted is None:
            return body
        answer = await self._cluster.set_finalizers(name, wanted, body["metadata"]["resourceVersion"])
        if answer is not None:
            self._caches.deployments.put(answer)
        return self._caches.deployments.get(name) or body

    async def _clean_up(self, body: Raw) -> float | None:
        """The next step of a deployment that is being deleted, and whose artifacts or models may have to go."""
        await self._find_lost_pods(self._caches.jobs.owned_by(body["metadata"]["uid"]))
        views = [job_view(job, pods) for job, pods in await self._cleaning_jobs(body)]
        observed = self._observe(body)
        removing = next((view for view in views if view.name == removal_job_name(observed.metadata)), None)
        freeing = [view for view in views if view.stage == "deactivate" and view.attempt == observed.metadata.uid]
        used = partial(used_by_others, body, self._caches.deployments, self._caches.jobs)
        step = removal.removal(observed, removing, freeing, used, self._settings, self._now())
        seen = self._writer.seen(observed.metadata.namespace, step.delete, step.node_labels)
        for node, marks in step.node_labels.items():
            await self._writer.label(body, node, marks, seen)
        for name in step.delete:
            await self._writer.delete(name, seen, after_pods=True)
        if step.create:
            step = await self._start_cleaning(observed, step)
        for event in step.done:
            await self._writer.post(body, event, self._cluster.post_event)
        if step.done:
            left = removal.without_ours(observed.metadata.finalizers)
            # The answer is not put into the cache: the watch may have dropped the deployment by then.
            await self._cluster.set_finalizers(ObjectName.of(body), left, body["metadata"]["resourceVersion"])
        return 0.0 if step.node_labels else step.requeue_after

    async def _cleaning_jobs(self, body: Raw) -> list[tuple[Raw, list[dict[str, Any]]]]:
        """Jobs without an owner that work for a deployment that is being deleted, each with its pods."""
        name = ObjectName.of(body)
        found = (
            self._caches.jobs.get(job) for job in self._caches.jobs.tagged(name.name) if job.namespace == name.namespace
        )
        jobs = [job for job in found if job is not None and not owner(job) and is_ours(job)]
        await self._find_lost_pods(jobs)
        return [(job, self._caches.pods.owned_by(job["metadata"]["uid"])) for job in jobs]

    async def _start_cleaning(self, observed: Observed, step: removal.Removal) -> removal.Removal:
        for manifest in step.create:
            try:
                self._caches.jobs.put(await self._cluster.create_job(manifest))
            except ApiError as error:
                name, is_final = manifest["metadata"]["name"], error.is_refusal
                given_up = removal.refused(observed, name, error.message, is_final, self._settings, self._now())
                if given_up is None:
                    raise
                return given_up
        return replace(step, requeue_after=min(SETTLE_SECONDS, step.requeue_after or SETTLE_SECONDS))

    async def _find_lost_pods(self, jobs: Iterable[dict[str, Any]]) -> None:
        """Ask once for the pods of a finished Job that shows no such pod: the pods' watch may lag behind the Jobs'."""
        for job in jobs:
            phase = _last_phase(job)
            pods = self._caches.pods.owned_by(job["metadata"]["uid"])
            if phase is None or any(pod["status"].get("phase") == phase for pod in pods):
                continue
            if not self._caches.jobs.is_marked(ObjectName.of(job)):
                for pod in await self._cluster.pods_of_job(ObjectName.of(job)):
                    self._caches.pods.put(pod)
                self._caches.jobs.mark(ObjectName.of(job))

    async def _act(self, body: dict[str, Any], observed: Observed, steps: Plan) -> bool:
        """Carry out a plan; says whether the world changed by it, so that another look is due."""
        name, writer = ObjectName.of(body), self._writer
        seen = writer.seen(name.namespace, steps.delete, steps.node_labels)
        if any(map(_is_on_vehicle, steps.create)):
            body = await self._set_finalizer(body, on_vehicles=True)
        for node, marks in steps.node_labels.items():
            await writer.label(body, node, marks, seen)
        deleted = [await writer.delete(job, seen) for job in steps.delete]
        for manifest in steps.create:
            await self._create(body, observed, manifest)
        written = await self._tell(body, observed, steps)
        return any(deleted) or bool(steps.create) or written

    async def _create(self, body: Raw, observed: Observed, manifest: Raw) -> None:
        """Create a Job. What the cluster has against a stage's is told in status: it will be asked again and again.

        What it has against one on a vehicle is told in an event alone: status would say that the rollout went forward.
        """
        try:
            await self._writer.create(body, manifest)
        except ApiError as error:
            if error.is_refusal and not _is_on_vehicle(manifest):
                seen = replace(observed, refused={manifest["metadata"]["name"]: error.message})
                await self._tell(body, observed, plan(seen, self._settings, self._now()))
            raise

    async def _tell(self, body: Raw, observed: Observed, steps: Plan) -> bool:
        """Write a plan's status, and post its events with it; says whether the status is another one."""
        name = ObjectName.of(body)
        self._progress.status_known(name, body["spec"], steps.status)
        written = await self._write_status(body, observed.status, steps.status)
        for event in steps.events if written else ():
            log_event(name, event, steps.status)
            await self._writer.post(body, event)
        return written

    async def _write_status(self, body: Raw, before: DeploymentStatus, after: DeploymentStatus) -> bool:
        if before == after:
            return False
        version = body["metadata"]["resourceVersion"]
        patch = merge_patch(body["status"], after.to_wire())
        if not patch:
            return False
        try:
            answer = await self._cluster.patch_status(ObjectName.of(body), patch, version)
        except ApiError as error:
            if error.code == NOT_FOUND:
                self._caches.deployments.drop(body)
            raise
        if answer["metadata"]["resourceVersion"] == version:
            return False
        self._caches.deployments.put(answer)
        self._progress.status_written(ObjectName.of(body), before, after)
        return True


def _last_phase(job: Raw) -> str | None:
    """Phase that the last pod of a finished Job has; None while the Job is not finished."""
    ends = {"Complete": "Succeeded", "Failed": "Failed"}
    conditions: list[dict[str, str]] = job["status"].get("conditions") or []
    return next((ends[end["type"]] for end in conditions if end["type"] in ends and end["status"] == "True"), None)


def _is_on_vehicle(job: Raw) -> bool:
    return NODE in (job["metadata"].get("annotations") or {})


def _settled(requeue_after: float | None) -> float:
    return SETTLE_SECONDS if requeue_after is None else min(SETTLE_SECONDS, requeue_after)
