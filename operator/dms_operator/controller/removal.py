"""What becomes of a deployment's artifacts and models when it is deleted: they stay, unless one asks for their removal.

Either wish puts a finalizer on the deployment, and so do Jobs on vehicles while there are any. After its deletion its
Jobs go first, then models leave their vehicles (vehicle_removal.py), or switches end there (vehicle_settling.py), then
one Job removes the artifacts that no other deployment of the same store names, then the finalizer goes: also when that
fails, or takes too long.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..api.errors import InvalidSpec
from ..api.labels import DELETE_ARTIFACTS, FINALIZER
from ..api.reasons import EVENT_CLEANED_UP, EVENT_CLEANUP_FAILED
from ..api.resource import Metadata
from ..api.spec import DeploymentSpec
from ..api.stages import RemoveRecipe, StageResult
from ..api.status import DeploymentStatus
from .events import MESSAGE_LIMIT, Event
from .facts import recorded_results
from .jobs import removal_job_manifest
from .observation import JobView, Observed
from .settings import Settings
from .text import clip, number, parse_timestamp
from .vehicle_removal import SLACK, VehicleStep, longest, vehicle_step
from .vehicle_settling import longest_settling, settling_step


@dataclass(frozen=True)
class Removal:
    """The next step of a deployment that is being deleted."""

    delete: list[str] = field(default_factory=list)
    """Names of its Jobs, which must have ended before anything is removed."""
    create: list[dict[str, Any]] = field(default_factory=list)
    """The Jobs that free vehicles, or the one that removes its artifacts."""
    done: list[Event] = field(default_factory=list)
    """To be posted; then the finalizer goes. Empty while there is something to be done."""
    requeue_after: float | None = None
    node_labels: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """As in a plan: what lies on vehicles."""


def finalizers(metadata: Metadata, spec: Mapping[str, Any], *, on_vehicles: bool) -> list[str] | None:
    """The finalizers that a living deployment should have instead of its present ones; None: they are right.

    `on_vehicles`: whether it has Jobs on vehicles, which must not be cut off in the middle of a switch.
    """
    wanted = takes_artifacts(metadata) or frees_vehicles(spec) or on_vehicles
    if wanted == (FINALIZER in metadata.finalizers):
        return None
    return [*metadata.finalizers, FINALIZER] if wanted else without_ours(metadata.finalizers)


def without_ours(present: Iterable[str]) -> list[str]:
    """Finalizers without the operator's."""
    return [one for one in present if one != FINALIZER]


def takes_artifacts(metadata: Metadata) -> bool:
    """Whether the deployment's artifacts shall go with it."""
    return metadata.annotations.get(DELETE_ARTIFACTS) == "true"


def frees_vehicles(spec: Mapping[str, Any]) -> bool:
    """Whether vehicles shall lose the model when the deployment goes; `spec` as it came, valid or not."""
    return (spec.get("rollout") or {}).get("deletionPolicy") == "Remove"


def removal_recipe(status: DeploymentStatus, used: Collection[str], image: str) -> RemoveRecipe:
    """What a status names and no other deployment uses; an artifact stays when its recipe is used, too."""
    results = list(recorded_results(status))
    kept = {_artifact(result) for result in results if result.recipe in used} | set(used)
    return RemoveRecipe(
        image=image,
        artifacts=sorted({_artifact(result) for result in results} - kept),
        recipes=sorted({result.recipe for result in results} - set(used)),
    )


def _artifact(result: StageResult) -> str:
    assert result.artifact is not None, "status holds results with artifacts alone"
    return result.artifact.digest


def removal(
    observed: Observed,
    job: JobView | None,
    deactivations: Iterable[JobView],
    used: Callable[[], frozenset[str]],
    settings: Settings,
    now: datetime,
) -> Removal:
    """The next step for a deployment that is being deleted and has our finalizer.

    `job` is its removal Job, `deactivations` are those that free its vehicles. `used` is asked for only when it is
    needed: it looks at every deployment.
    """
    if isinstance(observed.spec, InvalidSpec):
        return Removal(done=[_given_up("", f"the spec is invalid ({observed.spec.message})")])
    told: list[Event] = []
    labels: dict[str, dict[str, str | None]] = {}
    vehicles = _vehicles_step(observed, observed.spec, deactivations, settings, now)
    if vehicles is not None:
        if vehicles.done is None:
            stages = [one.name for one in observed.jobs.values() if not one.deleting]
            delete = [*vehicles.delete, *stages]
            return Removal(delete, vehicles.create, [], vehicles.requeue_after, vehicles.node_labels)
        told, labels = [vehicles.done], vehicles.node_labels
    if not takes_artifacts(observed.metadata):
        done = told or [_kept(f"annotation {DELETE_ARTIFACTS} is not true (any more)")]
        return Removal(done=done, node_labels=labels)
    artifacts = _artifacts_step(observed, observed.spec, job, used, settings, now)
    return replace(artifacts, done=[*told, *artifacts.done], node_labels=labels) if artifacts.done else artifacts


def _vehicles_step(
    observed: Observed, spec: DeploymentSpec, deactivations: Iterable[JobView], settings: Settings, now: datetime
) -> VehicleStep | None:
    """What is to be done on vehicles; None where there is no rollout."""
    if spec.rollout and spec.rollout.deletion_policy == "Remove":
        return vehicle_step(observed, spec, deactivations, settings, now)
    return settling_step(observed, settings, now) if spec.rollout or observed.vehicle_jobs else None


def _artifacts_step(
    observed: Observed,
    spec: DeploymentSpec,
    job: JobView | None,
    used: Callable[[], frozenset[str]],
    settings: Settings,
    now: datetime,
) -> Removal:
    if observed.jobs:
        return _end_stages(observed.jobs.values(), spec, settings, now)
    if job is None:
        return _begin(observed, spec, used(), settings)
    return _wait_for(job, observed, spec, used, settings, now)


def refused(
    observed: Observed, job: str, why: str, is_final: bool, settings: Settings, now: datetime
) -> Removal | None:
    """What to do after a Job could not be created: give up, or None to try again."""
    if not is_final and not _is_overdue(
        observed.metadata.deletion_timestamp, settings, now, _for_vehicles(observed, settings)
    ):
        return None
    uri = observed.spec.artifacts.uri if isinstance(observed.spec, DeploymentSpec) else ""
    return Removal(done=[_given_up(uri, f"Job {job} cannot be created ({why})")])


def _for_vehicles(observed: Observed, settings: Settings) -> timedelta:
    """Time that passes until vehicles are done with, before any artifact is removed."""
    spec = observed.spec if isinstance(observed.spec, DeploymentSpec) else None
    if spec is None or spec.rollout is None:
        return longest_settling(settings) if observed.vehicle_jobs else timedelta()
    frees = spec.rollout.deletion_policy == "Remove"
    return longest(observed, spec, settings) if frees else longest_settling(settings)


def _end_stages(jobs: Iterable[JobView], spec: DeploymentSpec, settings: Settings, now: datetime) -> Removal:
    """A stage that still runs could store an artifact after all were removed."""
    living = [job.name for job in jobs if not job.deleting]
    stuck = [job.name for job in jobs if job.deleting and _is_overdue(job.deleted_at, settings, now)]
    if stuck and not living:
        return Removal(done=[_given_up(spec.artifacts.uri, f"Job {stuck[0]} does not end")])
    return Removal(delete=living, requeue_after=settings.deadline("remove"))


def _begin(observed: Observed, spec: DeploymentSpec, used: frozenset[str], settings: Settings) -> Removal:
    recipe = removal_recipe(observed.status, used, settings.images.resolve)
    if not recipe.artifacts and not recipe.recipes:
        made = any(recorded_results(observed.status))
        return Removal(done=[_kept("other deployments use them all" if made else "there are none")])
    return Removal(create=[removal_job_manifest(recipe, observed.metadata, spec, settings)])


def _wait_for(
    job: JobView,
    observed: Observed,
    spec: DeploymentSpec,
    used: Callable[[], frozenset[str]],
    settings: Settings,
    now: datetime,
) -> Removal:
    failure = job.result.failure if job.result else job.failure if job.state == "Failed" else None
    if failure is not None:
        return Removal(done=[_given_up(spec.artifacts.uri, failure.message)])
    if job.result is not None:
        return Removal(done=[_removed(job.result, observed.status, used())])
    if job.state == "Complete":
        grace = job.answer_grace(now)
        lost = Event("Normal", EVENT_CLEANED_UP, f"artifacts removed by Job {job.name}, whose answer is lost")
        return Removal(requeue_after=grace) if grace > 0 else Removal(done=[lost])
    if _is_overdue(job.created_at, settings, now):
        return Removal(done=[_given_up(spec.artifacts.uri, f"Job {job.name} does not end")])
    return Removal(requeue_after=settings.deadline("remove"))


def _is_overdue(since: str | None, settings: Settings, now: datetime, later: timedelta = timedelta()) -> bool:
    limit = timedelta(seconds=settings.deadline("remove")) + SLACK + later
    return since is not None and now - parse_timestamp(since) > limit


def _removed(result: StageResult, status: DeploymentStatus, used: frozenset[str]) -> Event:
    facts = result.removal
    assert facts is not None, "a removal that succeeded has its facts"
    own = {_artifact(one) for one in recorded_results(status)}
    kept = len(own) - len(removal_recipe(status, used, "").artifacts)
    text = f"{facts.artifacts} artifacts removed, {number(facts.freed_bytes / 1e6)} MB freed"
    return Event("Normal", EVENT_CLEANED_UP, text + (f"; {kept} stay: other deployments use them" if kept else ""))


def _kept(why: str) -> Event:
    return Event("Normal", EVENT_CLEANED_UP, f"no artifact removed: {why}")


def _given_up(uri: str, why: str) -> Event:
    place = f" in {uri}" if uri else ""
    return Event("Warning", EVENT_CLEANUP_FAILED, clip(f"artifacts were left{place}: {why}", MESSAGE_LIMIT))
