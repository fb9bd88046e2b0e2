"""Ids of OpenTelemetry traces. They follow from what they are about, so that operator and pods agree without talking.

A trace is one generation of one deployment; each stage is a span in it, and what a stage's pod does is below that.
W3C Trace Context (https://www.w3.org/TR/trace-context/): trace ids are 16 bytes, span ids 8, never all zero.
"""

import hashlib

PARENT_VARIABLE = "TRACEPARENT"
"""Environment of stage pods: the span that their own are below."""
ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Environment of stage pods: where spans go (OTLP over HTTP)."""


def trace_id(uid: str, generation: int) -> int:
    """Of a deployment's generation, 128 bits."""
    return _number(16, uid, str(generation))


def root_span_id(uid: str, generation: int) -> int:
    """Of the whole generation, 64 bits."""
    return _number(8, uid, str(generation), "root")


def stage_span_id(uid: str, generation: int, recipe: str) -> int:
    """Of a stage, 64 bits."""
    return _number(8, uid, str(generation), recipe)


def traceparent(uid: str, generation: int, recipe: str) -> str:
    """The header's text that makes a pod's spans children of its stage's."""
    return f"00-{trace_id(uid, generation):032x}-{stage_span_id(uid, generation, recipe):016x}-01"


def _number(size: int, *parts: str) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:size], "big") or 1
