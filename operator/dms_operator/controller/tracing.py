"""Sends the spans of deployments and their stages when they end. Nothing is kept, so a restart loses nothing.

opentelemetry is imported only where an endpoint is set (extra `otel`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ..api.errors import InvalidSpec
from ..api.status import DeploymentStatus
from .caches import Caches, ObjectName, Raw
from .spans import Span, ended

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter


class Tracing:
    """A listener of the reconciler."""

    def __init__(self, caches: Caches, exporter: "SpanExporter", now: Callable[[], datetime]) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from .span_ids import GivenIds

        self._caches = caches
        self._now = now
        self._ids = GivenIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "dms-operator"}), id_generator=self._ids
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(__name__)

    def status_known(self, name: ObjectName, spec: Raw, status: DeploymentStatus) -> None:
        """Nothing ended by that."""

    def forget(self, name: ObjectName) -> None:
        """Nothing is kept."""

    def status_written(self, name: ObjectName, before: DeploymentStatus, after: DeploymentStatus) -> None:
        """Send what ended."""
        body = self._caches.deployments.get(name)
        for span in ended(name, body["metadata"]["uid"], before, after, self._now()) if body else ():
            self._send(span)

    def _send(self, span: Span) -> None:
        from opentelemetry.trace import Status, StatusCode

        from .span_ids import context_of

        self._ids.next = (span.trace, span.id)
        sent = self._tracer.start_span(
            span.title,
            context=context_of(span.trace, span.parent),
            start_time=_nanoseconds(span.start),
            attributes=dict(span.attributes),
        )
        sent.set_status(Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK))
        sent.end(_nanoseconds(span.end))

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def exporter_for(endpoint: str) -> "SpanExporter":
    """OTLP over HTTP to a collector such as http://collector:4318. Raises InvalidSpec without the extra `otel`."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        message = "the settings ask for traces, but opentelemetry is not installed"
        raise InvalidSpec(message, hint="Install dms-operator[otel], or take tracing out of the settings") from error
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
