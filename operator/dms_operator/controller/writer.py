"""Carries out what was decided upon Jobs and vehicles, if they are still what the decision was made from.

A plan's writes follow each other, and while one waits for its answer the world moves on. So each names the resource
version that was seen when the plan was made, not the one that is known by then. Where somebody has changed the object
since, the API server answers 409 and nothing is written; the queue asks for the deployment again, and by then the
watch has told what there is to decide upon. Whatever is written besides names its version, too: status and finalizers
(reconcile.py), a board's offer (boards.py), the count of an event (kube.py), the Lease (leadership.py).
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..api.labels import API_VERSION, KIND, VEHICLE
from ..api.reasons import EVENT_STAGE_FAILED, EVENT_VEHICLE_FAILED
from .caches import Caches, ObjectName, Raw, owner
from .events import Event
from .kube import CONFLICT, ApiError, Cluster
from .posts import event_manifest

_log = logging.getLogger(__name__)
_Announce = Callable[[Raw], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """Objects as they were when something was decided upon them, by name; None: the caches knew none."""

    jobs: Mapping[str, dict[str, Any] | None]
    vehicles: Mapping[str, dict[str, Any] | None]


class Writer:
    """Writes to Jobs and vehicles, and posts events. Its methods raise ApiError."""

    def __init__(self, caches: Caches, cluster: Cluster, now: Callable[[], datetime], announce: _Announce) -> None:
        """`announce` takes events that may wait."""
        self._caches = caches
        self._cluster = cluster
        self._now = now
        self._announce = announce

    def seen(self, namespace: str, jobs: Iterable[str], nodes: Iterable[str]) -> Seen:
        """What there is now: to be called before anything is waited for after a decision."""
        return Seen(
            {name: self._caches.jobs.get(ObjectName(namespace, name)) for name in jobs},
            {name: self._caches.vehicles.get(ObjectName("", name)) for name in nodes},
        )

    async def label(self, body: Raw, name: str, marks: Mapping[str, str | None], seen: Seen) -> None:
        """Note on a vehicle what lies there; one that is gone, or no vehicle any more, is forgotten at once."""
        # Of a node that is no vehicle (any more) the caches know nothing.
        node = seen.vehicles[name] or await self._cluster.node(name)
        if node is None:
            return
        try:
            answer = await self._cluster.label_node(name, marks, node["metadata"]["resourceVersion"])
        except ApiError as error:
            if error.is_refusal:
                message = f"the cluster refused to label vehicle {name}: {error.message}"
                await self.post(body, Event("Warning", EVENT_VEHICLE_FAILED, message))
            raise
        if answer is not None and VEHICLE in answer["metadata"].get("labels", {}):
            self._caches.vehicles.put(answer)
        elif (gone := answer or self._caches.vehicles.get(ObjectName("", name))) is not None:
            self._caches.vehicles.drop(gone)

    async def delete(self, name: str, seen: Seen, *, after_pods: bool = False) -> bool:
        """Delete a Job; says whether there was something to delete."""
        job = seen.jobs[name]
        if job is None or "deletionTimestamp" in job["metadata"]:
            return False
        await self._cluster.delete_job(job, after_pods=after_pods)
        # Until its watch event comes, the cache would have us delete it again.
        self._caches.jobs.amend(ObjectName.of(job), deletionTimestamp=self._now().isoformat())
        return True

    async def create(self, body: Raw, manifest: Raw) -> None:
        """Create a Job of a deployment; one that is there already is taken over."""
        try:
            job = await self._cluster.create_job(manifest)
        except ApiError as error:
            if error.is_refusal:
                message = f"the cluster refused Job {manifest['metadata']['name']}: {error.message}"
                await self.post(body, Event("Warning", EVENT_STAGE_FAILED, message))
            raise
        if owner(job).get("uid") != body["metadata"]["uid"]:
            taken = f"Job {manifest['metadata']['name']} belongs to {owner(job).get('uid', 'nobody')}"
            raise ApiError(CONFLICT, "AlreadyExists", f"{taken}: waiting until it is gone")
        self._caches.jobs.put(job)

    async def post(self, body: Raw, event: Event, announce: _Announce | None = None) -> None:
        """Events are hints for people: one that cannot be posted is logged, and holds up nothing."""
        manifest = event_manifest(body, KIND, API_VERSION, event, self._now())
        try:
            await (announce or self._announce)(manifest)
        except ApiError as error:
            _log.warning("event %s about %s was not posted: %s", event.reason, ObjectName.of(body), error)
