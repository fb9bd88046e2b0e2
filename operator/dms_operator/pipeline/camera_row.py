"""Camera to decision: measured on the board, on the host, or put together from the target's latency and processing."""

from ..api.quantities import Duration
from ..api.stages import BenchmarkRecipe, LatencyFacts
from ..toolchains.onnxruntime_cpu import open_cpu_session
from .context import StageContext
from .end_to_end import camera_queries
from .latency import PROFILES
from .rows import Plan, Row, host_source, shorter, timed
from .subject import Subject, load

STEP = "time-camera"


def camera_row(model: Row, subject: Subject, recipe: BenchmarkRecipe, context: StageContext) -> Row | None:
    """Time frames to decisions beside the strongest row `model`; None unless the recipe asks for it.

    Raises InvalidSpec when no model input takes frames.
    """
    wanted, provenance = recipe.end_to_end, model.facts.provenance
    if wanted is None:
        return None
    specs, answer = subject.dataset.specs, subject.reference.outputs[0]
    if provenance in ("measured", "host"):
        session = subject.board.session if subject.board else load(lambda: open_cpu_session(subject.model)).session
        queries = camera_queries(wanted, specs, subject.rotation, session, answer)
        plan = Plan(provenance, f"camera to decision, {model.facts.source}", PROFILES[recipe.profile], STEP, True)
        return timed(queries, plan, recipe, context, 0.0)
    queries = camera_queries(wanted, specs, subject.rotation, None, answer)
    plan = Plan("host", host_source(), shorter(recipe), STEP, counts=True)
    processing = timed(queries, plan, recipe, context, 0.0)
    return Row(together(model.facts, processing.facts), processing.passes)


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
        noisy=processing.noisy,
        source=f"{model.source} + processing on the CPU ({processing.source})",
        notes=processing.notes,
    )
