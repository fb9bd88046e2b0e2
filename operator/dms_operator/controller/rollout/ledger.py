"""What the Jobs on vehicles say: who works where, what was answered, what failed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ...api.errors import DigestMismatch, NotPrefetched
from ...api.stages import Failure, StageName
from ..observation import JobView

SWITCHES: tuple[StageName, ...] = ("activate", "deactivate")
"""Stages that change what runs on a vehicle."""
DAMAGED = (NotPrefetched.reason, DigestMismatch.reason)
"""Why an activation ends before it changes anything: what was brought to the disk is not there, or not whole."""


@dataclass(frozen=True)
class Ledger:
    """Jobs by vehicle. A failure counts only in the try (`dms.edge/retry`) that it happened in."""

    by_node: dict[str, list[JobView]] = field(default_factory=dict)
    attempt: str = ""
    rounds: int = 0
    """How often a revision that was damaged on a disk is brought again before that counts as a failure."""

    @classmethod
    def of(cls, jobs: Iterable[JobView], attempt: str, rounds: int = 0) -> "Ledger":
        """Sort Jobs by vehicle."""
        ledger = cls({}, attempt, rounds)
        for job in jobs:
            ledger.by_node.setdefault(job.node, []).append(job)
        return ledger

    def is_known(self, node: str) -> bool:
        """Whether there is a Job of the vehicle: most of a large fleet have none, and are done with at once."""
        return node in self.by_node

    def job(self, node: str, stage: StageName, revision: str) -> JobView | None:
        """The Job of a stage and revision on a vehicle that is not on its way out."""
        return next((job for job in self.jobs(node) if (job.stage, job.revision) == (stage, revision)), None)

    def jobs(self, node: str) -> Iterator[JobView]:
        """Jobs on a vehicle that are not on their way out."""
        return (job for job in self.by_node.get(node, ()) if not job.deleting)

    def is_busy(self, node: str, now: datetime) -> bool:
        """Whether a Job may still do something on the vehicle, or say what it has done."""
        return any(_is_open(job, now) for job in self.by_node.get(node, ()))

    def is_switching(self, node: str) -> bool:
        """Whether a Job that changes what runs there may still work: it holds a slot of maxUnavailable."""
        return any(job.stage in SWITCHES and is_living(job) for job in self.by_node.get(node, ()))

    def is_prefetching(self, node: str) -> bool:
        """Whether a Job downloads there."""
        return any(job.stage == "prefetch" and is_living(job) for job in self.by_node.get(node, ()))

    def has_switched(self, node: str) -> bool:
        """Whether a Job that changed what runs there has not been cleared away yet."""
        return any(job.stage in SWITCHES and has_succeeded(job) for job in self.by_node.get(node, ()))

    def has_answer(self, node: str) -> bool:
        """Whether a Job that tells what runs there is still to be cleared away."""
        return any(job.stage in SWITCHES and has_succeeded(job) for job in self.jobs(node))

    def answer(self, node: str) -> JobView | None:
        """The Job that last told what runs on the vehicle."""
        told = [job for job in self.by_node.get(node, ()) if job.stage in SWITCHES and has_succeeded(job)]
        return max(told, key=lambda job: job.finished_at or "", default=None)

    def runs(self, node: str, label: str) -> str:
        """The revision that runs on a vehicle, by the last answer, else by its label; empty for none."""
        told = self.answer(node)
        if told is None:
            return label
        assert told.result and told.result.vehicle
        return told.result.vehicle.revision or ""

    def failure(self, node: str, revision: str) -> Failure | None:
        """Why a revision could not be brought to a vehicle in this try."""
        for job in self.jobs(node):
            if job.revision == revision and self.has_failed_now(job):
                return failure_of(job)
        return None

    def has_failed_now(self, job: JobView) -> bool:
        """Whether a Job failed in this try, for good."""
        return has_failed(job) and not self.is_stale(job) and not self.is_damage(job)

    def is_damage(self, job: JobView) -> bool:
        """Whether a Job failed for what lay on the disk, which is brought again."""
        return job.round < self.rounds and not self.is_stale(job) and found_damage(job)

    def damage(self, node: str, revision: str) -> JobView | None:
        """The Job for which a revision is brought to a vehicle once more."""
        found = self.job(node, "activate", revision)
        return found if found and self.is_damage(found) else None

    def is_coming(self, node: str, revision: str) -> bool:
        """Whether a revision is on its way to a vehicle, or lies there."""
        return any(job.revision == revision and job.stage != "deactivate" for job in self.jobs(node))

    def waiting(self, node: str) -> str:
        """What the cluster says of a pod that has not started on the vehicle."""
        return next((job.waiting for job in self.by_node.get(node, ()) if job.waiting), "")

    def waits_since(self, node: str) -> str | None:
        """Since when a Job has waited for its pod to start on the vehicle; None while none does."""
        jobs = self.by_node.get(node, ())
        return min((job.created_at for job in jobs if job.state == "Pending" and job.created_at), default=None)

    def is_stale(self, job: JobView) -> bool:
        """Whether a Job failed in an earlier try."""
        return has_failed(job) and job.attempt != self.attempt


def is_living(job: JobView) -> bool:
    """Whether the Job's pods may still work: one that is being deleted counts until it is gone."""
    return job.state in ("Pending", "Running")


def _is_open(job: JobView, now: datetime) -> bool:
    return job.deleting or is_living(job) or (is_unanswered(job) and job.answer_grace(now) > 0)


def is_unanswered(job: JobView) -> bool:
    """Whether it completed, and what it said is not known."""
    return job.state == "Complete" and job.result is None


def has_succeeded(job: JobView) -> bool:
    """Whether it did what it was asked, and told so."""
    return job.state == "Complete" and job.result is not None and job.result.vehicle is not None


def has_failed(job: JobView) -> bool:
    """Whether all its attempts failed."""
    return job.state == "Failed" or (
        job.state == "Complete" and job.result is not None and job.result.failure is not None
    )


def found_damage(job: JobView) -> bool:
    """Whether an activation found something else on the disk than what was brought there."""
    return job.stage == "activate" and has_failed(job) and failure_of(job).reason in DAMAGED


def failure_of(job: JobView) -> Failure:
    """Why a Job failed."""
    told = job.result.failure if job.result else job.failure
    return told or Failure(reason="PodFailed", message=f"Job {job.name} failed", retryable=True)
