"""Run one stage: look in the cache, do the work, store what came out, and answer whatever happens."""

import errno
import importlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

from ..api.errors import DMSError, StoreFull
from ..api.stages import (
    BenchmarkFacts,
    BenchmarkRecipe,
    CompiledFacts,
    Failure,
    ModelFacts,
    Recipe,
    RemoveRecipe,
    StageName,
    StageRequest,
    StageResult,
    VariantFacts,
    VehicleRecipe,
    is_cacheable,
    recipe_digest,
)
from ..artifacts.store import Store, open_store
from . import remove
from .attest import attested
from .context import Facts, StageContext, StageOutput, VehicleContext
from .progress import Progress, silent
from .termination import printable

StageFunction = Callable[[Recipe, StageContext], StageOutput]

_log = logging.getLogger(__name__)
_FACT_FIELDS: dict[type[Facts], str] = {
    ModelFacts: "model",
    VariantFacts: "variant",
    CompiledFacts: "compiled",
    BenchmarkFacts: "benchmark",
}


def run(request: StageRequest, workdir: Path, progress: Progress = silent) -> StageResult:
    """Run the request's stage with `workdir` as scratch space; every error becomes the result's `failure`."""
    started = time.monotonic()
    digest = recipe_digest(request.recipe)
    try:
        result = _cached_or_run(request, digest, workdir, progress)
    except Exception as error:
        failure = failure_of(error)
        result = StageResult(stage=request.recipe.stage, recipe=digest, failure=failure)
    return result.model_copy(update={"seconds": round(time.monotonic() - started, 3)})


def failure_of(error: Exception) -> Failure:
    """What an exception means to the user; the traceback of an unexpected one goes to the log."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = StoreFull("no space is left in the pod's scratch space", hint="Give the node or the volume more")
    if isinstance(error, DMSError):
        _log.error("%s: %s", error.reason, error)
        return Failure(reason=error.reason, message=printable(str(error)), retryable=error.retryable)
    _log.error("unexpected error", exc_info=error)
    if isinstance(error, MemoryError):
        message = "the stage ran out of memory. Give its pods more, or lower spec.dataset.calibrationSamples"
        return Failure(reason="OutOfMemory", message=message, retryable=True)
    return Failure(reason="InternalError", message=printable(f"{type(error).__name__}: {error}"), retryable=True)


def _cached_or_run(request: StageRequest, digest: str, workdir: Path, progress: Progress) -> StageResult:
    if isinstance(request.recipe, VehicleRecipe):
        return _on_vehicle(request, digest, workdir, progress)
    store = open_store(request.store)
    if isinstance(request.recipe, RemoveRecipe):
        return StageResult(stage="remove", recipe=digest, removal=remove.run(request.recipe, store))
    context = StageContext(store=store, workdir=workdir, progress=progress)
    cached = store.lookup(digest) if is_cacheable(request.recipe) else None
    if cached is not None and _is_outdone(request.recipe, cached, store):
        cached = None
    if cached is not None and cached.artifact and context.keys.trusts(store.attestation(cached.artifact.digest)):
        return cached
    files, facts = stage_function(request.recipe.stage)(request.recipe, context)
    compiler = facts.tool_version if isinstance(facts, CompiledFacts) else None
    artifact = attested(store.put(files), files, request, context, compiler)
    result = StageResult.model_validate(
        {
            "stage": request.recipe.stage,
            "recipe": digest,
            "artifact": artifact,
            _FACT_FIELDS[type(facts)]: facts,
        }
    )
    if is_cacheable(request.recipe) and not result.repeatable:
        store.record(result)
    return result


def _on_vehicle(request: StageRequest, digest: str, workdir: Path, progress: Progress) -> StageResult:
    """Stages on a vehicle make no artifact, and their result is never an old one."""
    context = VehicleContext(lambda: open_store(request.store), workdir, progress)
    facts = _module(request.recipe.stage).run(request.recipe, context)
    return StageResult(stage=request.recipe.stage, recipe=digest, vehicle=facts)


def _is_outdone(recipe: Recipe, cached: StageResult, store: Store) -> bool:
    """Whether a benchmark left no golden outputs, or was answered without a board, and here is one."""
    if not isinstance(recipe, BenchmarkRecipe) or cached.benchmark is None or cached.artifact is None:
        return False
    from .golden import GOLDEN

    if GOLDEN not in store.manifest(cached.artifact.digest):
        return True
    if any(row.provenance == "measured" for row in cached.benchmark.latencies):
        return False
    from .board import is_at_hand

    return is_at_hand(recipe.toolchain, recipe.board)


def stage_function(stage: StageName) -> StageFunction:
    """The function `run` of the stage's module, imported only now: each stage needs other heavy libraries."""
    return cast(StageFunction, _module(stage).run)


def _module(stage: StageName) -> ModuleType:
    return importlib.import_module(f"{__package__}.{stage}")
