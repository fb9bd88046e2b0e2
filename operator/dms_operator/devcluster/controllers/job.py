"""The Job controller: acts out what job_plan decides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from dms_operator.devcluster.client import LocalClient
from dms_operator.devcluster.errors import ApiError

from .events import EventRecorder
from .job_failure import Backoff
from .job_plan import TRACKING, JobPlan, is_finished, plan_job
from .loop import Controller, Key
from .meta import (
    Clock,
    Object,
    controller_of,
    controller_reference,
    finalizers,
    find_condition,
    is_deleted,
    name,
    parse_time,
    uid,
    utc_now,
    without_finalizer,
)


class JobController(Controller):
    """Creates the pods of Jobs and writes their status. Keys: (namespace, job)."""

    watched = ("jobs", "pods")
    retry = Backoff(1.0, 60.0)  # pkg/controller/job: DefaultJobApiBackOff, MaxJobApiBackOff

    def __init__(self, client: LocalClient, backoff: Backoff, clock: Clock = utc_now) -> None:
        super().__init__(client)
        self._backoff = backoff
        self._clock = clock
        self._events = EventRecorder(client, "job-controller", clock=clock)

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """A Job itself, or the Job that controls a pod."""
        if obj["kind"] == "Job":
            return [(obj["metadata"]["namespace"], name(obj))]
        owner = controller_of(obj)
        return [(obj["metadata"]["namespace"], owner["name"])] if owner and owner["kind"] == "Job" else []

    def reconcile(self, key: Key) -> float | None:
        """Take the next step of one Job."""
        namespace, job_name = key
        job = self.client.get("jobs", namespace, job_name)
        pods = self._pods(namespace, job_name)
        for pod in pods:
            owner = controller_of(pod)
            if job is None or owner is None or owner["uid"] != uid(job):
                self._release(pod)
        if job is None:
            return None
        return self._step(job, [pod for pod in pods if _controlled(pod, job)])

    def _pods(self, namespace: str, job: str) -> list[Object]:
        def of_job(pod: Object) -> bool:
            owner = controller_of(pod)
            return owner is not None and owner["kind"] == "Job" and owner["name"] == job

        return [pod for pod in self.client.list("pods", namespace) if of_job(pod)]

    def _step(self, job: Object, pods: list[Object]) -> float | None:
        if is_finished(job):
            for pod in pods:
                self._release(pod)
            return None
        if job["spec"].get("completionMode") == "Indexed":
            self._events.post(job, "Warning", "Unsupported", "the dev cluster does not run Indexed jobs")
            return None
        return self._act(job, plan_job(job, pods, self._clock(), self._backoff))

    def _act(self, job: Object, plan: JobPlan) -> float | None:
        """Delete and create, write the status once, then let go of the counted pods."""
        for pod in plan.delete_uncounted:
            self._release(pod)
            self._delete(job, pod)
        for pod in plan.delete:
            self._delete(job, pod)
        suspended = [event for event in plan.events if event.reason == "Suspended"]
        for event in suspended:
            self._events.post(job, event.type, event.reason, event.message)
        created, refusal = self._create(job, plan.create)
        status = {**plan.status, "active": plan.status.get("active", 0) + created}
        self._write(job, {key: value for key, value in status.items() if key != "active" or value})
        for pod in plan.release:
            self._release(pod)
        for event in plan.events:
            if event not in suspended:
                self._events.post(job, event.type, event.reason, event.message)
        if refusal is not None:
            raise refusal
        return plan.requeue_after

    def _create(self, job: Object, count: int) -> tuple[int, ApiError | None]:
        """Create pods; return how many, and the refusal that stopped it."""
        for created in range(count):
            try:
                pod = self.client.create("pods", job["metadata"]["namespace"], new_pod(job))
            except ApiError as refusal:
                self._events.post(job, "Warning", "FailedCreate", f"Error creating: {refusal}")
                return created, refusal
            self._events.post(job, "Normal", "SuccessfulCreate", f"Created pod: {name(pod)}")
        return count, None

    def _delete(self, job: Object, pod: Object) -> None:
        self.client.delete("pods", pod["metadata"]["namespace"], name(pod), uid=uid(pod))
        self._events.post(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name(pod)}")

    def _release(self, pod: Object) -> None:
        """Take the tracking finalizer off."""
        live = self.client.get("pods", pod["metadata"]["namespace"], name(pod))
        if live is not None and uid(live) == uid(pod) and TRACKING in finalizers(live):
            self.client.update("pods", without_finalizer(live, TRACKING))

    def _write(self, job: Object, status: Object) -> None:
        live = self.client.get("jobs", job["metadata"]["namespace"], name(job))
        if live is not None and uid(live) == uid(job) and live.get("status") != status:
            self.client.update_status("jobs", {**live, "status": status})


def _controlled(pod: Object, job: Object) -> bool:
    owner = controller_of(pod)
    return owner is not None and owner["uid"] == uid(job)


def new_pod(job: Object) -> Object:
    """Return the pod that a Job's template describes."""
    template = job["spec"]["template"]
    metadata = template.get("metadata") or {}
    described = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **described,
            "generateName": f"{name(job)}-",
            "namespace": job["metadata"]["namespace"],
            "ownerReferences": [controller_reference(job, "batch/v1", "Job")],
            "finalizers": [*(metadata.get("finalizers") or []), TRACKING],
        },
        "spec": template["spec"],
    }


class JobCleaner(Controller):
    """Deletes finished Jobs after spec.ttlSecondsAfterFinished. Keys: (namespace, job)."""

    watched = ("jobs",)

    def __init__(self, client: LocalClient, clock: Clock = utc_now) -> None:
        super().__init__(client)
        self._clock = clock

    def keys(self, change: str, resource: str, obj: Object) -> Iterable[Key]:
        """Every Job that has a time to live."""
        living = obj["spec"].get("ttlSecondsAfterFinished") is not None and change != "DELETED"
        return [(obj["metadata"]["namespace"], name(obj))] if living else []

    def reconcile(self, key: Key) -> float | None:
        """Delete the Job, or return how long it still has."""
        job = self.client.get("jobs", *key)
        left = remaining_life(job, self._clock()) if job is not None and not is_deleted(job) else None
        if job is None or left is None:
            return None
        if left > 0:
            return left
        self.client.delete("jobs", key[0], key[1], propagation="Foreground", uid=uid(job))
        return None


def remaining_life(job: Object, now: datetime) -> float | None:
    """Return the seconds until a finished Job is to be deleted; None if that has no time yet."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    status = job.get("status") or {}
    ended = find_condition(status, "Complete") or find_condition(status, "Failed")
    if ttl is None or ended is None or ended["status"] != "True":
        return None
    return (parse_time(ended["lastTransitionTime"]) + timedelta(seconds=ttl) - now).total_seconds()
