"""What is known about recipes: from their Jobs while those live, else from the status of earlier passes."""

from collections.abc import Iterator

from ..api.errors import ArtifactMissing
from ..api.labels import RETRY
from ..api.stages import Failure, StageResult
from ..api.status import DeploymentStatus, StageStatus
from .observation import JobView, Observed
from .pods import POD_FAILED

Fact = StageResult | Failure | None
"""A success, a final failure, or nothing known yet."""

RETRY_LIMIT = 128
"""Characters of the retry annotation that count (the bound of status.handledRetry)."""


def retry_of(observed: Observed) -> str:
    """The retry that counts: what the annotation asks for, or the one that was handled last."""
    return observed.metadata.annotations.get(RETRY, "")[:RETRY_LIMIT] or observed.status.handled_retry or ""


def attempt_of(observed: Observed) -> str:
    """Names the present try. A failure counts only in the try that it happened in."""
    return f"{observed.metadata.generation}/{retry_of(observed)}"


class Facts:
    """Answers by recipe digest."""

    def __init__(self, observed: Observed) -> None:
        self._attempt = attempt_of(observed)
        self._rebuilds = _rebuilds(observed)
        self._good_enough = _good_enough(observed)
        self._jobs = {recipe: job for recipe, job in observed.jobs.items() if not job.deleting}
        results = [] if self._rebuilds else recorded_results(observed.status)
        anew = _is_new_try(observed)
        self._results = {result.recipe: result for result in results if not (anew and self._is_repeatable(result))}
        self._failures = _recorded_failures(observed)

    @property
    def recipes(self) -> set[str]:
        """Recipes of which something may be known."""
        return {*self._results, *self._jobs}

    def of(self, recipe: str) -> Fact:
        """What came of a recipe. A success stays known; a failure, or noise that proved nothing, goes with the try."""
        job = self._jobs.get(recipe)
        stale = job is not None and self.is_stale(job)
        if job and job.result and job.result.failure is None and not stale:
            return job.result
        if recipe in self._results:
            return self._results[recipe]
        if stale:
            return None
        return (_failure(job) if job else None) or self._failures.get(recipe)

    def is_stale(self, job: JobView) -> bool:
        """Whether the Job ended in an earlier try in a way that has to be tried again."""
        if job.state not in ("Complete", "Failed") or job.attempt == self._attempt:
            return False
        repeatable = job.result is not None and self._is_repeatable(job.result)
        return self._rebuilds or repeatable or _failure(job) is not None

    def _is_repeatable(self, result: StageResult) -> bool:
        return result.repeatable and result.recipe not in self._good_enough


def _good_enough(observed: Observed) -> set[str]:
    """Recipes of the benchmarks by which targets are ready: if noisy, only a retry asks for them again.

    Else an edit that has nothing to do with them, such as the pause of a rollout, would measure and judge anew what
    vehicles run already.
    """
    if (observed.status.handled_retry or "") != retry_of(observed):
        return set()
    ready = [target for target in observed.status.targets if target.state == "Ready"]
    chosen = [each for target in ready for each in target.candidates if each.variant == target.variant]
    return {candidate.benchmark.recipe for candidate in chosen if candidate.benchmark}


def recorded_results(status: DeploymentStatus) -> Iterator[StageResult]:
    """The successes that a status holds, in the form in which the stages gave them."""
    if model := status.model:
        yield StageResult(stage="resolve", recipe=model.recipe, artifact=model.artifact, model=model)
    for variant in status.variants:
        yield StageResult(stage="quantize", recipe=variant.recipe, artifact=variant.artifact, variant=variant)
    for candidate in (each for target in status.targets for each in target.candidates):
        if compiled := candidate.compiled:
            yield StageResult(stage="convert", recipe=compiled.recipe, artifact=compiled.artifact, compiled=compiled)
        if benchmark := candidate.benchmark:
            yield StageResult(
                stage="benchmark", recipe=benchmark.recipe, artifact=benchmark.artifact, benchmark=benchmark
            )


def _is_new_try(observed: Observed) -> bool:
    status = observed.status
    known = (status.observed_generation, status.handled_retry or "")
    return known != (observed.metadata.generation, retry_of(observed))


def _rebuilds(observed: Observed) -> bool:
    """Whether the last try ended at a store that had lost an artifact: then no earlier success can be trusted.

    What the store still holds is not made again: the stages answer from its record of recipes.
    """
    lost = any(stage.reason == ArtifactMissing.reason for stage in _failed(observed.status))
    return lost and _is_new_try(observed)


def _failed(status: DeploymentStatus) -> list[StageStatus]:
    return [stage for stage in status.stages if stage.state == "Failed"]


def _recorded_failures(observed: Observed) -> dict[str, Failure]:
    """Failures of this try alone: a new generation or a new retry starts with none."""
    if _is_new_try(observed):
        return {}
    return {
        stage.recipe: Failure(reason=stage.reason, message=stage.message, retryable=False)
        for stage in _failed(observed.status)
    }


def _failure(job: JobView) -> Failure | None:
    if job.result:
        return job.result.failure
    if job.state != "Failed":
        return None
    failure = job.failure or Failure(reason=POD_FAILED, message=f"Job {job.name} failed", retryable=True)
    if not failure.retryable:
        return failure
    advice = f"attempts: {job.failed_pods}; to try again, give annotation {RETRY} a new value"
    return failure.model_copy(update={"message": f"{failure.message} ({advice})"})
