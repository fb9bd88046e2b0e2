"""From what is observed to what is to be done: one pure function."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..api.errors import InvalidSpec
from ..api.spec import DeploymentSpec
from ..api.status import DeploymentStatus
from .events import Event, events
from .facts import Facts, attempt_of
from .jobs import job_manifest, job_name, template_digest
from .observation import BoardCount, JobView, Observed
from .proven import History
from .rollout.plan import rollout_plan
from .settings import Settings
from .status_build import built, built_status, invalid_status
from .steps import Step
from .survey import survey
from .waiting import changes_after

__all__ = ["Event", "Plan", "plan"]


@dataclass(frozen=True)
class Plan:
    """What to do now. To be carried out in this order: node labels, delete, create, status (if it differs), events."""

    status: DeploymentStatus
    """The whole status as it shall be. A field that is None shall be absent (null in a merge patch)."""
    create: list[dict[str, Any]] = field(default_factory=list)
    """Job manifests; a Job of that name that exists already is success."""
    delete: list[str] = field(default_factory=list)
    """Names of Jobs; one that is gone already is success."""
    events: list[Event] = field(default_factory=list)
    requeue_after: float | None = None
    """Seconds after which to plan again even if nothing is reported."""
    node_labels: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """Labels to be set (None: removed) on vehicles, by node: what is known to lie on their disks."""


def plan(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """Decide what comes next. `now` is time-zone aware; the same world and time give the same plan."""
    if observed.metadata.deletion_timestamp is not None:
        return Plan(observed.status)
    if isinstance(observed.spec, InvalidSpec):
        status = invalid_status(observed, observed.spec, now)
        return Plan(status, events=events(observed.status, status))
    return _plan(observed, observed.spec, settings, now)


def _plan(observed: Observed, spec: DeploymentSpec, settings: Settings, now: datetime) -> Plan:
    facts = Facts(observed)
    found = survey(spec, settings, facts.of, _history(observed), facts.recipes)
    doings = [_Doing(step, observed, spec, settings, facts, now) for step in found.steps.values()]
    create = [doing.manifest() for doing in doings if doing.starts]
    started = {doing.step.digest: doing.name for doing in doings if doing.starts}
    made = built(observed, spec, found, started, now)
    rollout = rollout_plan(observed, spec, settings, made.release, now)
    status = built_status(observed, spec, made, rollout, now)
    waits = (wait for doing in doings for wait in (doing.grace, doing.next_message) if wait > 0)
    return Plan(
        status,
        [*create, *rollout.create],
        [
            *(doing.name for doing in doings if doing.discards),
            *_unwanted(observed.jobs.values(), found.steps.keys() | found.recalled),
            *rollout.delete,
        ],
        events(observed.status, status),
        min((*waits, *([rollout.requeue_after] if rollout.requeue_after else [])), default=None),
        rollout.node_labels,
    )


def _history(observed: Observed) -> History | None:
    revision = observed.status.revision
    return History(revision, observed.metadata.generation) if revision else None


def _unwanted(jobs: Iterable[JobView], steps: Set[str]) -> list[str]:
    """Jobs that this spec does not ask for."""
    return [job.name for job in jobs if job.recipe not in steps and not job.deleting]


@dataclass(frozen=True)
class _Doing:
    """What is to be done about one step."""

    step: Step
    observed: Observed
    spec: DeploymentSpec
    settings: Settings
    facts: Facts
    now: datetime

    @property
    def job(self) -> JobView | None:
        return self.observed.jobs.get(self.step.digest)

    @property
    def name(self) -> str:
        return job_name(self.observed.metadata.name, self.step.recipe.stage, self.step.digest)

    @property
    def starts(self) -> bool:
        """Nothing is known, and no Job is there that would find it out."""
        return self.step.fact is None and self.job is None and not self.spec.suspend

    @property
    def discards(self) -> bool:
        """The Job is there, but cannot find it out any more; it is made anew once it is gone."""
        job = self.job
        if job is None or job.deleting or self.step.fact is not None or self.spec.suspend:
            return False
        if job.state == "Pending":
            return job.template != template_digest(self.manifest())
        return self.facts.is_stale(job) or (self._lost(job) and self.grace == 0)

    @property
    def grace(self) -> float:
        """Seconds for which a finished Job's answer is still waited for."""
        job = self.job
        if job is None or job.deleting or self.step.fact is not None or not self._lost(job):
            return 0.0
        return job.answer_grace(self.now)

    def manifest(self) -> dict[str, Any]:
        """The Job that would run the step."""
        board = self.step.target.board if self.step.target else ""
        attachments = self.observed.boards.get(board, BoardCount()).attachments
        attempt = attempt_of(self.observed)
        return job_manifest(self.step, self.observed.metadata, self.spec, self.settings, attempt, attachments)

    @property
    def next_message(self) -> float:
        """Seconds after which the step's Job has something new to say though nothing happens; 0 for none."""
        job = self.job if self.step.fact is None else None
        return changes_after(job, self.now) if job else 0.0

    @staticmethod
    def _lost(job: JobView) -> bool:
        return job.state == "Complete" and job.result is None
