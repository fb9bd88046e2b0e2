"""A trace tells a deployment's story, and can be told again after a restart with the same ids."""

from datetime import UTC, datetime

from controller.builders import COCKPIT, world
from dms_operator.api.status import DeploymentStatus
from dms_operator.api.tracing import root_span_id, stage_span_id, trace_id, traceparent
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.spans import Span, ended

NAME, UID = ObjectName("perception", "driver"), "uid-1"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _ended(before: DeploymentStatus, after: DeploymentStatus) -> list[Span]:
    return list(ended(NAME, UID, before, after, NOW))


def _ready() -> DeploymentStatus:
    return DeploymentStatus.model_validate(world(COCKPIT).run().status)


def test_every_stage_that_ended_is_a_span_below_its_generations() -> None:
    ready = _ready()
    *stages, whole = _ended(DeploymentStatus(), ready)
    assert [span.attributes["dms.stage"] for span in stages] == [
        "resolve", "quantize", "quantize", "convert", "benchmark",
    ]  # fmt: skip
    assert {span.parent for span in stages} == {whole.id} == {root_span_id(UID, 1)}
    assert {span.trace for span in (*stages, whole)} == {trace_id(UID, 1)}
    assert (whole.title, whole.parent, whole.attributes["dms.phase"]) == ("perception/driver", None, "Ready")
    assert all(span.end >= span.start for span in (*stages, whole))


def test_nothing_is_told_twice() -> None:
    ready = _ready()
    assert _ended(ready, ready) == []


def test_a_failed_stage_says_why() -> None:
    ready = _ready()
    failed = ready.stages[-1].model_copy(update={"state": "Failed", "reason": "WrongTarget", "message": "other SoC"})
    running = ready.stages[-1].model_copy(update={"state": "Running"})
    before = ready.model_copy(update={"stages": [running]})
    [span] = _ended(before, ready.model_copy(update={"stages": [failed]}))
    assert span.error == "WrongTarget: other SoC"


def test_pods_are_told_the_span_that_the_operator_sends_later() -> None:
    version, trace, parent, flags = traceparent(UID, 3, "sha256:1").split("-")
    assert (version, flags) == ("00", "01")
    assert (int(trace, 16), int(parent, 16)) == (trace_id(UID, 3), stage_span_id(UID, 3, "sha256:1"))
    assert traceparent(UID, 4, "sha256:1") != traceparent(UID, 3, "sha256:1")
