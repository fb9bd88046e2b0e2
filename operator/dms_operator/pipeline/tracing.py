"""Spans of a stage pod: the stage, and below it one for each step that it reports. Off unless an endpoint is set.

opentelemetry is imported only where an endpoint is set (extra `otel`).
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..api.errors import InvalidSpec
from ..api.stages import StageRequest, StageResult, recipe_digest
from ..api.tracing import ENDPOINT_VARIABLE, PARENT_VARIABLE
from .progress import Progress
from .runner import failure_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_FLUSH_MILLISECONDS = 5000
"""A collector that is away must not hold up a stage for long."""


class StepSpans:
    """A progress listener that makes a span of each step, from its first report to the next step's."""

    def __init__(self, tracer: "Tracer", inner: Progress) -> None:
        self._tracer = tracer
        self._inner = inner
        self._step = ""
        self._span: Span | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report that `done` of `total` units of a step are done."""
        if step != self._step:
            self.end()
            self._step, self._span = step, self._tracer.start_span(step, attributes={"dms.units": total})
        self._inner(step, done, total)

    def end(self) -> None:
        """The last step is over."""
        if self._span is not None:
            self._span.end()
            self._span = None


def traced(request: StageRequest, progress: Progress, work: Callable[[Progress], StageResult]) -> StageResult:
    """Do a stage's work, and send its spans if an endpoint is set; a failure where they could not be made."""
    endpoint = os.environ.get(ENDPOINT_VARIABLE)
    if not endpoint:
        return work(progress)
    try:
        provider = _provider(endpoint)
    except InvalidSpec as error:
        return StageResult(stage=request.recipe.stage, recipe=recipe_digest(request.recipe), failure=failure_of(error))
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer = provider.get_tracer(__name__)
    parent = TraceContextTextMapPropagator().extract({"traceparent": os.environ.get(PARENT_VARIABLE, "")})
    with tracer.start_as_current_span(f"run {request.recipe.stage}", context=parent) as span:
        steps = StepSpans(tracer, progress)
        result = work(steps)
        steps.end()
        _describe(span, request, result)
    provider.force_flush(_FLUSH_MILLISECONDS)
    provider.shutdown()
    return result


def _provider(endpoint: str) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        message = f"{ENDPOINT_VARIABLE} is set, but opentelemetry is not installed in the stage's image"
        hint = "Add the extra otel to the image, or take tracing out of the settings"
        raise InvalidSpec(message, hint=hint) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "dms-stage"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return provider


def _describe(span: "Span", request: StageRequest, result: StageResult) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("dms.deployment", request.deployment)
    span.set_attribute("dms.stage", request.recipe.stage)
    span.set_attribute("dms.recipe", recipe_digest(request.recipe))
    span.set_attribute("dms.cached", result.cached)
    if result.failure is not None:
        span.set_status(Status(StatusCode.ERROR, f"{result.failure.reason}: {result.failure.message}"))
