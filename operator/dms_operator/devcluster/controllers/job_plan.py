"""What to do next for a Job: a pure function of the Job, its pods and the time.

Follows syncJob of kube-controller-manager (pkg/controller/job/job_controller.go). A finished pod is counted in
two steps, so that a crash in between counts nothing twice: its uid enters status.uncountedTerminatedPods, then the
pod loses its tracking finalizer, then the uid becomes a number. Jobs with completionMode Indexed are not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from .job_failure import Backoff, is_failed, is_succeeded, judge, phase, remaining_backoff, restarts_exceeded
from .meta import Object, finalizers, find_condition, has_condition, is_deleted, parse_time, rfc3339, uid

TRACKING = "batch.kubernetes.io/job-tracking"
_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")
_BACKOFF = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
_FINAL = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


@dataclass(frozen=True)
class JobEvent:
    """An event to post about the Job."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class JobPlan:
    """What to do: create pods, delete pods, release pods from tracking, write the status, look again."""

    status: Object
    create: int = 0
    delete: tuple[Object, ...] = ()
    delete_uncounted: tuple[Object, ...] = ()
    release: tuple[Object, ...] = ()
    events: tuple[JobEvent, ...] = ()
    requeue_after: float | None = None


@dataclass
class _Sync:
    """One look at a Job."""

    job: Object
    pods: Sequence[Object]
    now: datetime
    backoff: Backoff
    events: list[JobEvent] = field(default_factory=list)

    @cached_property
    def spec(self) -> Object:
        return dict(self.job["spec"])

    @cached_property
    def old(self) -> Object:
        return dict(self.job.get("status") or {})

    @cached_property
    def active(self) -> list[Object]:
        return [pod for pod in self.pods if phase(pod) in ("Pending", "Running") and not is_deleted(pod)]

    @cached_property
    def terminating(self) -> int:
        return sum(is_deleted(pod) and phase(pod) in ("Pending", "Running") for pod in self.pods)

    @cached_property
    def pending(self) -> dict[str, list[str]]:
        """The uids that were finished but not yet counted, by result."""
        waiting = self.old.get("uncountedTerminatedPods") or {}
        return {result: list(waiting.get(result) or []) for result in ("succeeded", "failed")}

    @cached_property
    def fresh(self) -> list[Object]:
        """Pods that ended since the last look."""
        known = {*self.pending["succeeded"], *self.pending["failed"]}
        tracked = [pod for pod in self.pods if TRACKING in finalizers(pod) and uid(pod) not in known]
        return [pod for pod in tracked if is_succeeded(pod) or is_failed(pod, self.job)]

    @cached_property
    def fresh_succeeded(self) -> list[str]:
        return [uid(pod) for pod in self.fresh if is_succeeded(pod)]

    @cached_property
    def fresh_failed(self) -> list[str]:
        failed = [pod for pod in self.fresh if not is_succeeded(pod)]
        return [uid(pod) for pod in failed if judge(self.job, pod).action != "Ignore"]

    @property
    def succeeded(self) -> int:
        return int(self.old.get("succeeded", 0)) + len(self.pending["succeeded"]) + len(self.fresh_succeeded)

    @property
    def failed(self) -> int:
        return int(self.old.get("failed", 0)) + len(self.pending["failed"]) + len(self.fresh_failed)

    @property
    def suspended(self) -> bool:
        return bool(self.spec.get("suspend"))

    @cached_property
    def start_time(self) -> str | None:
        if self.suspended or self.old.get("startTime"):
            return self.old.get("startTime")
        return rfc3339(self.now)

    @cached_property
    def deadline_in(self) -> float | None:
        """Seconds to the deadline; None without one."""
        seconds = self.spec.get("activeDeadlineSeconds")
        if seconds is None or self.suspended or self.start_time is None:
            return None
        return (parse_time(self.start_time) + timedelta(seconds=seconds) - self.now).total_seconds()


def plan_job(job: Object, pods: Sequence[Object], now: datetime, backoff: Backoff) -> JobPlan:
    """Decide the next step of a Job that has not finished.

    `pods` are the pods that the Job controls. The plan's status does not yet count the pods that it creates.
    """
    sync = _Sync(job, pods, now, backoff)
    outcome = _outcome(sync)
    if outcome is not None:
        return _finish(sync, outcome)
    if is_deleted(job):
        return _write(sync, release_all=True)
    if sync.suspended:
        return _suspend(sync)
    return _run(sync)


def is_finished(job: Object) -> bool:
    """Tell whether the Job reached Complete or Failed."""
    status = job.get("status") or {}
    return has_condition(status, "Complete") or has_condition(status, "Failed")


def _outcome(sync: _Sync) -> tuple[str, str, str] | None:
    """Return the interim condition (type, reason, message) that ends the Job, if something does."""
    for kind in _FINAL:
        condition = find_condition(sync.old, kind)
        if condition:
            return kind, condition["reason"], condition["message"]
    for pod in sync.pods:
        verdict = judge(sync.job, pod) if is_failed(pod, sync.job) else None
        if verdict and verdict.action == "FailJob":
            return "FailureTarget", "PodFailurePolicy", verdict.message
    if sync.failed > sync.spec["backoffLimit"] or restarts_exceeded(sync.job, sync.pods):
        return "FailureTarget", *_BACKOFF
    if sync.deadline_in is not None and sync.deadline_in <= 0:
        return "FailureTarget", *_DEADLINE
    if _is_complete(sync):
        return "SuccessCriteriaMet", *_REACHED
    return None


def _is_complete(sync: _Sync) -> bool:
    wanted = sync.spec.get("completions")
    return sync.succeeded >= (1 if wanted is None else wanted) and not sync.active


def _finish(sync: _Sync, outcome: tuple[str, str, str]) -> JobPlan:
    conditions = _with_condition(sync, *outcome)
    still_counting = sync.fresh or _unreleased(sync) or sync.active or sync.terminating
    if find_condition(sync.old, outcome[0]) and not still_counting:
        return _conclude(sync, conditions, outcome)
    return _write(sync, conditions, delete=tuple(sync.active), release_all=True)


def _conclude(sync: _Sync, conditions: list[Object], outcome: tuple[str, str, str]) -> JobPlan:
    kind, reason, message = outcome
    final = _FINAL[kind]
    plan = _write(sync, [*conditions, _condition(sync, final, "True", reason, message)])
    if final == "Complete":
        event = JobEvent("Normal", "Completed", "Job completed")
        completed = {"completionTime": rfc3339(sync.now)}
    else:
        event, completed = JobEvent("Warning", reason, message), {}
    return JobPlan(status={**plan.status, **completed}, events=(*plan.events, event))


def _suspend(sync: _Sync) -> JobPlan:
    conditions = list(sync.old.get("conditions") or [])
    if not has_condition(sync.old, "Suspended"):
        conditions = _with_condition(sync, "Suspended", "JobSuspended", "Job suspended")
        sync.events.append(JobEvent("Normal", "Suspended", "Job suspended"))
    return _write(sync, conditions, delete_uncounted=tuple(sync.active))


def _run(sync: _Sync) -> JobPlan:
    conditions, start = list(sync.old.get("conditions") or []), sync.start_time
    if has_condition(sync.old, "Suspended"):
        resumed = _condition(sync, "Suspended", "False", "JobResumed", "Job resumed")
        conditions = [resumed if item["type"] == "Suspended" else item for item in conditions]
        sync.events.append(JobEvent("Normal", "Resumed", "Job resumed"))
        start = rfc3339(sync.now)
    wanted, wait = _wanted(sync), 0.0
    surplus = tuple(sync.active[wanted:])
    missing = wanted - len(sync.active) - _replaced_later(sync)
    if missing > 0:
        wait = remaining_backoff(sync.job, sync.pods, sync.now, sync.backoff)
    plan = _write(sync, conditions, delete_uncounted=surplus, start=start)
    alarms = [seconds for seconds in (wait, sync.deadline_in) if seconds]
    return JobPlan(
        status=plan.status,
        create=max(0, missing) if not wait else 0,
        delete_uncounted=plan.delete_uncounted,
        release=plan.release,
        events=plan.events,
        requeue_after=min(alarms, default=None),
    )


def _wanted(sync: _Sync) -> int:
    """Return how many pods should be active."""
    completions, parallelism = sync.spec.get("completions"), int(sync.spec["parallelism"])
    if completions is None:
        return len(sync.active) if sync.succeeded else parallelism
    return max(0, min(parallelism, int(completions) - sync.succeeded))


def _replaced_later(sync: _Sync) -> int:
    return sync.terminating if sync.spec.get("podReplacementPolicy") == "Failed" else 0


def _unreleased(sync: _Sync) -> set[str]:
    """Return the uncounted uids whose pods still carry the tracking finalizer."""
    tracked = {uid(pod) for pod in sync.pods if TRACKING in finalizers(pod)}
    return tracked & {*sync.pending["succeeded"], *sync.pending["failed"]}


def _write(
    sync: _Sync,
    conditions: list[Object] | None = None,
    *,
    delete: tuple[Object, ...] = (),
    delete_uncounted: tuple[Object, ...] = (),
    release_all: bool = False,
    start: str | None = None,
) -> JobPlan:
    gone = {uid(pod) for pod in (*delete, *delete_uncounted)}
    remaining = [pod for pod in sync.active if uid(pod) not in gone]
    status = {
        "conditions": conditions if conditions is not None else sync.old.get("conditions"),
        "startTime": start or sync.start_time,
        "active": len(remaining),
        **_counted(sync),
        "terminating": sync.terminating + len(gone),
        "ready": sum(has_condition(pod.get("status") or {}, "Ready") for pod in remaining),
    }
    always = ("terminating", "ready", "uncountedTerminatedPods")
    kept = {key: value for key, value in status.items() if value or key in always}
    return JobPlan(kept, 0, delete, delete_uncounted, _releases(sync, release_all), tuple(sync.events))


def _counted(sync: _Sync) -> Object:
    """Turn released uids into numbers and note the fresh ones."""
    unreleased = _unreleased(sync)
    fresh = {"succeeded": sync.fresh_succeeded, "failed": sync.fresh_failed}
    counts: dict[str, int] = {}
    waiting: dict[str, list[str]] = {}
    for result, uids in sync.pending.items():
        kept = [item for item in uids if item in unreleased]
        counts[result] = int(sync.old.get(result, 0)) + len(uids) - len(kept)
        if kept or fresh[result]:
            waiting[result] = [*kept, *fresh[result]]
    return {**counts, "uncountedTerminatedPods": waiting}


def _releases(sync: _Sync, everything: bool) -> tuple[Object, ...]:
    """Return the pods to release from tracking; of a deleted Job all, whatever their state."""
    unreleased, fresh = _unreleased(sync), {uid(pod) for pod in sync.fresh}
    abandoned = everything and is_deleted(sync.job)
    return tuple(
        pod
        for pod in sync.pods
        if TRACKING in finalizers(pod) and (abandoned or uid(pod) in unreleased or uid(pod) in fresh)
    )


def _with_condition(sync: _Sync, kind: str, reason: str, message: str) -> list[Object]:
    existing = list(sync.old.get("conditions") or [])
    if find_condition(sync.old, kind) and has_condition(sync.old, kind):
        return existing
    others = [item for item in existing if item["type"] != kind]
    return [*others, _condition(sync, kind, "True", reason, message)]


def _condition(sync: _Sync, kind: str, status: str, reason: str, message: str) -> Object:
    moment = rfc3339(sync.now)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }
