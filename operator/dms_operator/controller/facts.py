"""What is known about recipes: from their Jobs while those live, else from the status of earlier passes."""

from collections.abc import Iterator

from ..api.labels import RETRY
from ..api.stages import Failure, StageResult
from ..api.status import DeploymentStatus
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
        self._jobs = observed.jobs
        self._attempt = attempt_of(observed)
        self._results = {result.recipe: result for result in recorded_results(observed.status)}
        self._failures = _recorded_failures(observed)

    def of(self, recipe: str) -> Fact:
        """What came of a recipe; a success is never forgotten, a failure only with the try."""
        job = self._jobs.get(recipe)
        if job and job.result and job.result.failure is None:
            return job.result
        if recipe in self._results:
            return self._results[recipe]
        failure = _failure(job) if job else None
        if job and failure:
            return None if self.is_stale(job) else failure
        return self._failures.get(recipe)

    def is_stale(self, job: JobView) -> bool:
        """Whether the Job failed in an earlier try, so that it has to run again."""
        return _failure(job) is not None and job.attempt != self._attempt


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


def _recorded_failures(observed: Observed) -> dict[str, Failure]:
    """Failures of this try alone: a new generation or a new retry starts with none."""
    status = observed.status
    same_try = (status.observed_generation, status.handled_retry or "") == (
        observed.metadata.generation,
        retry_of(observed),
    )
    return {
        stage.recipe: Failure(reason=stage.reason, message=stage.message, retryable=False)
        for stage in status.stages
        if same_try and stage.state == "Failed"
    }


def _failure(job: JobView) -> Failure | None:
    if job.result:
        return job.result.failure
    if job.state != "Failed":
        return None
    return job.failure or Failure(reason=POD_FAILED, message=f"Job {job.name} failed without a word", retryable=True)
