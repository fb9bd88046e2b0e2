"""Taking a deployment's model off its vehicles when it is deleted, if `deletionPolicy: Remove` asks for that.

A vehicle's revision label says that something lies there; a deactivate Job takes it away, and its success the label. So
many Jobs work at a time as maxUnavailable allows, as in a rollout; none of them is made for a vehicle that is away. No
vehicle can hold up the deletion: what is held, fails, or does not come back in time keeps its model, and that is told.
Its label stays where nothing was tried, and goes where nobody knows what a Job has left: a deployment of the same name
that comes later would take it for granted, and leave the vehicle alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..api.labels import revision_label
from ..api.reasons import EVENT_CLEANED_UP, EVENT_CLEANUP_FAILED
from ..api.spec import DeploymentSpec
from ..api.vehicle import DeactivateRecipe
from .events import MESSAGE_LIMIT, Event
from .observation import JobView, Observed
from .rollout.amounts import at_most
from .rollout.fleet import Vehicle
from .rollout.ledger import SWITCHES, has_succeeded, is_living
from .rollout.members import members
from .settings import Settings
from .text import clip, parse_timestamp
from .vehicle_jobs import deactivation_manifest

SLACK = timedelta(seconds=60)
"""On top of a Job's own deadline, until its end is known here."""
NAMED = 5
"""Vehicles that an event names."""


@dataclass(frozen=True)
class VehicleStep:
    """What is to be done next for the vehicles of a deployment that goes."""

    node_labels: dict[str, dict[str, str | None]] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    create: list[dict[str, Any]] = field(default_factory=list)
    done: Event | None = None
    """What became of all vehicles; None while one is waited for."""
    requeue_after: float = 0.0


@dataclass(frozen=True)
class _Leaving:
    """A vehicle on which something of the deployment lies."""

    vehicle: Vehicle
    revision: str
    """What its label says, or what a Job may have brought before any label could tell."""
    busy: JobView | None
    """A Job of the rollout that may have changed it, and is not gone yet."""
    job: JobView | None
    """The Job that frees it."""
    image: str | None
    """What that Job runs: the image of its revision's toolchain."""

    @property
    def failure(self) -> str:
        """Why it keeps its model, whatever comes; empty while there is hope."""
        if self.vehicle.held:
            return "held"
        if self.image is None:
            return "no image and volume for it in the settings"
        if self.job and self.job.state == "Failed":
            return self.job.failure.reason if self.job.failure else "failed"
        return ""

    @property
    def is_busy(self) -> bool:
        """Whether a Job may be at work there: it holds a slot of maxUnavailable, but not while it is away."""
        works = self.busy is not None or (self.job is not None and is_living(self.job))
        return works and self.vehicle.away_since is None

    @property
    def starts(self) -> bool:
        """Whether its Job may be made."""
        idle = self.job is None and self.busy is None and self.vehicle.away_since is None
        return idle and not self.failure

    def wait(self, now: datetime, since_deletion: float, limit: float) -> float:
        """Seconds for which it is waited for: its Job so long as that may take, who is away so long since the deletion.

        Whose turn is still to come has all its time.
        """
        if self.failure:
            return 0.0
        if self.job is not None:
            return limit - self.job.age(now)
        return limit if self.starts else limit - since_deletion

    @property
    def told(self) -> str | None:
        """The revision that lies there by the last that was heard; None for none."""
        heard = self.busy if self.busy and self.busy.stage in SWITCHES else self.job
        facts = heard.result.vehicle if heard and heard.result else None
        return facts.revision if facts else self.revision

    @property
    def is_unknown(self) -> bool:
        """Whether a Job may have taken away what the label says, and nobody can tell."""
        return self.job is not None and self.job.state != "Pending"

    def grace(self, now: datetime) -> float:
        """Seconds for which the answer of its Job is still waited for."""
        return self.job.answer_grace(now) if self.job and self._has_no_answer(self.job) else 0.0

    def lost(self, now: datetime) -> JobView | None:
        """Its Job, when that completed and nobody will learn what it said: it is run again."""
        return self.job if self.job and self._has_no_answer(self.job) and not self.grace(now) else None

    @staticmethod
    def _has_no_answer(job: JobView) -> bool:
        return job.state == "Complete" and job.result is None and not job.deleting


def vehicle_step(
    observed: Observed, spec: DeploymentSpec, deactivations: Iterable[JobView], settings: Settings, now: datetime
) -> VehicleStep:
    """The next step; `deactivations` are the Jobs that were made for this very deletion."""
    jobs = {(job.node, job.revision): job for job in deactivations}
    leaving = sorted(_leaving(observed, jobs, settings), key=lambda each: each.vehicle.name)
    waits = _waits(leaving, observed, spec, settings, now)
    labels = _labels(leaving, observed)
    delete = [
        *(job.name for job in observed.vehicle_jobs.values() if not job.deleting),
        *(job.name for each in leaving if (job := each.lost(now))),
    ]
    if not (labels or delete or waits):
        freed = sum(job.state == "Complete" for job in jobs.values())
        label = revision_label(observed.metadata.namespace, observed.metadata.name)
        unknown: dict[str, dict[str, str | None]] = {
            each.vehicle.name: {label: None} for each in leaving if each.is_unknown
        }
        return VehicleStep(unknown, done=_event(freed, leaving, label))
    awaited = [each for each in leaving if each.vehicle.name in waits]
    free = _slots(observed, spec) - sum(each.is_busy for each in awaited)
    starts = [each for each in awaited if each.starts][: max(0, free)]
    create = [_manifest(each, observed, spec, settings) for each in starts]
    graces = [grace for each in leaving if (grace := each.grace(now)) > 0]
    return VehicleStep(labels, delete, create, requeue_after=max(1.0, min([*waits.values(), *graces], default=1.0)))


def longest(observed: Observed, spec: DeploymentSpec, settings: Settings) -> timedelta:
    """How long it may take to free all vehicles: so many at a time, and those that come back at the last moment."""
    rounds = -(-_size(observed, spec) // _slots(observed, spec))
    return (rounds + 1) * _limit(settings)


def _waits(
    leaving: Iterable[_Leaving], observed: Observed, spec: DeploymentSpec, settings: Settings, now: datetime
) -> dict[str, float]:
    """The vehicles that are waited for, each with the seconds that are left to it."""
    since = observed.metadata.deletion_timestamp
    ago = (now - parse_timestamp(since)).total_seconds() if since else 0.0
    left, limit = longest(observed, spec, settings).total_seconds() - ago, _limit(settings).total_seconds()
    waits = {each.vehicle.name: min(left, each.wait(now, ago, limit)) for each in leaving}
    return {name: wait for name, wait in waits.items() if wait > 0}


def _limit(settings: Settings) -> timedelta:
    return timedelta(seconds=settings.deadline("deactivate")) + SLACK


def _slots(observed: Observed, spec: DeploymentSpec) -> int:
    """Vehicles that may be worked on at the same time."""
    assert spec.rollout is not None
    return max(1, at_most(spec.rollout.max_unavailable, _size(observed, spec)))


def _size(observed: Observed, spec: DeploymentSpec) -> int:
    """Vehicles of the rollout, freed or not, and those that it once brought something to."""
    chosen = {member.name for member in members(spec, observed.fleet.vehicles, observed.metadata.uid)}
    return len(chosen | {vehicle.name for vehicle in observed.fleet.vehicles if vehicle.revision})


def _leaving(observed: Observed, jobs: dict[tuple[str, str], JobView], settings: Settings) -> Iterator[_Leaving]:
    working = [job for job in observed.vehicle_jobs.values() if job.state != "Pending"]
    busy = {job.node: job for job in sorted(working, key=_says_more)}
    for vehicle in observed.fleet.vehicles:
        worker = busy.get(vehicle.name)
        revision = vehicle.revision or (worker.revision if worker else "")
        if revision:
            image = _image(observed, vehicle.board, settings)
            yield _Leaving(vehicle, revision, worker, jobs.get((vehicle.name, revision)), image)


def _says_more(job: JobView) -> tuple[bool, bool]:
    """Of a vehicle's Jobs the one that switched it tells what lies there."""
    return job.stage in SWITCHES, has_succeeded(job)


def _image(observed: Observed, board: str, settings: Settings) -> str | None:
    status = observed.status.revision
    targets = [target for release in (status.releases if status else []) for target in release.targets]
    toolchains = {target.toolchain for target in targets if target.board == board}
    images = [image for toolchain, image in settings.images.benchmark.items() if toolchain in toolchains]
    return next(iter(images), None) if settings.fleet else None


def _manifest(each: _Leaving, observed: Observed, spec: DeploymentSpec, settings: Settings) -> dict[str, Any]:
    assert each.image is not None, "a vehicle without an image is a failure"
    metadata = observed.metadata
    recipe = DeactivateRecipe(
        image=each.image,
        node=each.vehicle.name,
        deployment=f"{metadata.namespace}/{metadata.name}",
        revision=each.revision,
    )
    return deactivation_manifest(recipe, metadata, spec, settings)


def _labels(leaving: Iterable[_Leaving], observed: Observed) -> dict[str, dict[str, str | None]]:
    """What is known of the vehicles, to be written down before the Job that knew it is deleted."""
    label = revision_label(observed.metadata.namespace, observed.metadata.name)
    return {each.vehicle.name: {label: each.told} for each in leaving if (each.told or "") != each.vehicle.revision}


def _event(freed: int, left: list[_Leaving], label: str) -> Event:
    text = f"model removed from {freed} vehicle{'s' if freed != 1 else ''}"
    if not left:
        return Event("Normal", EVENT_CLEANED_UP, text)
    named = [f"{each.vehicle.name} ({each.failure or 'no answer in time'})" for each in left[:NAMED]]
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    labelled = any(not each.is_unknown for each in left)
    found = f"; kubectl get nodes -l {label} names those that nobody tried" if labelled else ""
    stays = f"{text}; it stays on {', '.join(named)}{more}{found}"
    return Event("Warning", EVENT_CLEANUP_FAILED, clip(stays, MESSAGE_LIMIT))
