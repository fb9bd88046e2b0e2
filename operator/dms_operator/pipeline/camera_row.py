"""Camera to decision: measured on the board, on the host, or put together from the target's latency and processing."""

from ..api.confidence import queries_needed
from ..api.quantities import Duration
from ..api.stages import BenchmarkRecipe, LatencyFacts
from ..toolchains.loading import open_cpu_session
from . import environment
from .context import StageContext
from .end_to_end import camera_queries
from .latency import PROFILES, Profile
from .on_board.job import BoardRun, CameraJob
from .on_board.run import CAMERA_STEP, time_queries
from .passes import Timed
from .rows import Row, host_source, shorter, timed_row
from .subject import Subject


def camera_job(subject: Subject, recipe: BenchmarkRecipe) -> CameraJob | None:
    """What a board times from camera to decision; None unless the recipe asks for it."""
    if recipe.end_to_end is None:
        return None
    specs = [{"name": spec.name, "shape": spec.shape, "dtype": spec.dtype} for spec in subject.dataset.specs]
    return CameraJob(recipe.end_to_end.model_dump(), specs)


def camera_row(
    model: Row, run: BoardRun | None, subject: Subject, recipe: BenchmarkRecipe, context: StageContext
) -> Row | None:
    """Frames to decisions beside the strongest row `model`; None unless the recipe asks for it.

    Raises InvalidSpec when no model input takes frames.
    """
    if recipe.end_to_end is None:
        return None
    source = f"camera to decision, {model.facts.source}"
    if run is not None:
        assert run.camera is not None
        return timed_row(Timed(0.0, run.camera), "measured", source, recipe)
    if model.facts.provenance == "host":
        return timed_row(_on_this_cpu(subject, recipe, context, PROFILES[recipe.profile], True), "host", source, recipe)
    here = _on_this_cpu(subject, recipe, context, shorter(recipe), False)
    processing = timed_row(here, "host", host_source(environment.describe()), recipe)
    return Row(together(model.facts, processing.facts), processing.passes)


def _on_this_cpu(
    subject: Subject, recipe: BenchmarkRecipe, context: StageContext, profile: Profile, with_model: bool
) -> Timed:
    assert recipe.end_to_end is not None
    session = open_cpu_session(subject.model) if with_model else None
    answer = subject.reference.outputs[0]
    queries = camera_queries(recipe.end_to_end, subject.dataset.specs, subject.rotation, session, answer)

    def report(done: int, total: int) -> None:
        context.progress(CAMERA_STEP, done, total)

    wanted = queries_needed(recipe.percentile)
    return Timed(0.0, time_queries(queries, profile, recipe.warmup, report, wanted, repeat=True))


def together(model: LatencyFacts, processing: LatencyFacts) -> LatencyFacts:
    """The target's latency and this CPU's processing, added: an estimate, for the board's CPU is another one.

    A sum of upper bounds bounds the sum; a sum of percentiles other than that is none.
    """
    bound = None
    if model.bound is not None and processing.bound is not None:
        bound = Duration.of_seconds(model.bound.value + processing.bound.value)
    return LatencyFacts(
        provenance="estimated",
        p50=Duration.of_seconds(model.p50.value + processing.p50.value),
        bound=bound,
        samples=processing.samples,
        noisy=model.noisy or processing.noisy,
        source=f"{model.source} + processing on the CPU ({processing.source})",
        notes=processing.notes,
    )
