"""The process tells how far behind it is."""

from prometheus_client import CollectorRegistry

from dms_operator.controller.vitals import Vitals


def test_leadership_queue_silent_watches_and_deadlines_are_shown() -> None:
    registry = CollectorRegistry()
    Vitals(lambda: 7.5, lambda: 2.5, lambda: {"/api/v1/nodes": 400.0}, {"convert": 7200}, lambda: False, registry)
    assert registry.get_sample_value("dms_queue_lag_seconds") == 7.5
    assert registry.get_sample_value("dms_queue_stall_seconds") == 2.5
    assert registry.get_sample_value("dms_watches_silent") == 1
    assert registry.get_sample_value("dms_leader") == 0
    assert registry.get_sample_value("dms_stage_deadline_seconds", {"stage": "convert"}) == 7200
