"""What /metrics shows: base units, no leftovers, every finished stage once."""

from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controller.builders import COCKPIT, Script, accuracy, latency, spec, world
from controller.fleet_world import fleet_world
from dms_operator.api.quantities import Power
from dms_operator.api.stages import PROVENANCE_ORDER, StageName
from dms_operator.api.status import DeploymentStatus, StageStatus
from dms_operator.controller.caches import Caches, ObjectName
from dms_operator.controller.metrics import Metrics
from dms_operator.controller.model_samples import ERROR, FAMILIES, samples_of

NAME = ObjectName("perception", "driver")
OBJECT = {"namespace": "perception", "deployment": "driver"}
TARGET = {**OBJECT, "target": "cockpit"}
RECIPE = f"sha256:{'0' * 64}"
SPEC = spec(COCKPIT) | {"benchmark": {"latencyBudget": "50ms"}}


class Shown:
    """Metrics of one process, and what a scrape would give."""

    def __init__(self, caches: Caches | None = None) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(caches or Caches(), lambda: 3, self.registry)

    def text(self) -> str:
        return (generate_latest(self.registry) + b"".join(self.metrics.deployments.pieces())).decode()

    def __call__(self, name: str, **labels: str) -> float | None:
        samples = (sample for family in text_string_to_metric_families(self.text()) for sample in family.samples)
        return next((each.value for each in samples if (each.name, each.labels) == (name, labels)), None)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def _ready(**figures: Any) -> DeploymentStatus:
    done = world(COCKPIT, script=Script(benchmark=figures)).run()
    return DeploymentStatus.model_validate(done.status)


def test_a_ready_deployment_shows_its_figures_in_base_units(shown: Shown) -> None:
    shown.metrics.status_known(NAME, SPEC, _ready(power=Power("800mW")))
    assert shown("dms_deployment_phase", **OBJECT, phase="Ready") == 1
    assert shown("dms_deployment_phase", **OBJECT, phase="Failed") == 0
    assert shown("dms_deployment_condition", **OBJECT, type="Ready", status="True") == 1
    assert shown("dms_model_latency_budget_seconds", **OBJECT) == 0.05
    labels = {**TARGET, "board": "qcs8255", "precision": "int8"}
    latency = "dms_model_latency_seconds"
    assert shown(latency, **labels, provenance="simulated", statistic="p50") == pytest.approx(0.0004)
    assert shown(latency, **labels, provenance="host", statistic="bound") == pytest.approx(0.009)
    assert shown("dms_model_latency_bound_seconds", **labels, provenance="simulated") == pytest.approx(0.00043)
    assert shown("dms_model_latency_bound_seconds", **labels, provenance="host") is None, (
        "the NPU's gate never judges it"
    )
    assert shown("dms_model_throughput_ips", **TARGET, provenance="simulated") == 2500
    assert shown("dms_model_power_watts", **TARGET) == pytest.approx(0.8)
    assert shown("dms_model_energy_joules_per_inference", **TARGET) == pytest.approx(0.8 / 2500)
    assert shown("dms_model_accuracy_ratio", **TARGET, stage="reference") == pytest.approx(0.98)
    assert shown("dms_model_accuracy_ratio", **TARGET, stage="variant") == pytest.approx(0.976)
    assert shown("dms_model_accuracy_ratio", **TARGET, stage="target") == 1
    assert shown("dms_model_accuracy_drop_ratio", **TARGET) == pytest.approx(0.004)
    assert shown("dms_model_npu_delegation_ratio", **TARGET) == 1
    assert shown("dms_artifact_size_bytes", **TARGET) == 700_000


def test_an_error_is_no_share_and_has_a_metric_of_its_own(shown: Shown) -> None:
    status = _ready(accuracyOnTarget=accuracy(0.03, 16, metric="mae"))
    shown.metrics.status_known(NAME, SPEC, status)
    assert shown("dms_model_error", **TARGET, stage="target") == pytest.approx(0.03)
    assert shown("dms_model_accuracy_ratio", **TARGET, stage="target") is None


def test_figures_that_are_not_known_are_not_shown(shown: Shown) -> None:
    shown.metrics.status_known(NAME, SPEC, _ready())
    assert shown("dms_model_power_watts", **TARGET) is None
    labels = {**TARGET, "board": "qcs8255", "precision": "int8"}
    assert shown("dms_model_latency_seconds", **labels, provenance="measured", statistic="p99") is None


def test_an_invalid_budget_is_not_shown(shown: Shown) -> None:
    shown.metrics.status_known(NAME, {"benchmark": {"latencyBudget": "fast"}}, DeploymentStatus())
    assert shown("dms_model_latency_budget_seconds", **OBJECT) is None


def test_all_series_of_a_deployment_vanish_with_it(shown: Shown) -> None:
    shown.metrics.status_known(NAME, SPEC, _ready())
    shown.metrics.forget(NAME)
    assert 'deployment="driver"' not in shown.text()


def test_the_series_of_a_rollout_go_with_it_or_with_the_deployment(shown: Shown) -> None:
    fleet = fleet_world().settle()

    def know() -> None:
        shown.metrics.status_known(NAME, fleet.body["spec"], DeploymentStatus.model_validate(fleet.status))

    know()
    assert shown("dms_rollout_nodes", **OBJECT, state="updated") == 4
    del fleet.body["spec"]["rollout"]
    fleet.edit()
    fleet.reconcile()
    know()
    assert "dms_rollout_nodes{" not in shown.text() and shown("dms_deployment_phase", **OBJECT, phase="Ready") == 1
    shown.metrics.forget(NAME)
    assert 'deployment="driver"' not in shown.text()


def test_every_finished_stage_is_observed_once(shown: Shown) -> None:
    cluster, before = world(COCKPIT), DeploymentStatus()
    for _ in range(20):
        cluster.reconcile()
        after = DeploymentStatus.model_validate(cluster.status)
        shown.metrics.status_written(NAME, before, after)
        before = after
        for name in cluster.unfinished():
            cluster.start(name)
            cluster.tick(7)
            cluster.finish(name)
    count, total = "dms_stage_duration_seconds_count", "dms_stage_duration_seconds_sum"
    assert shown(count, stage="quantize", outcome="Succeeded") == 2
    assert shown(count, stage="benchmark", outcome="Succeeded") == 1
    assert shown(total, stage="benchmark", outcome="Succeeded") == pytest.approx(7)


def test_a_restart_observes_no_stage_again(shown: Shown) -> None:
    ready = _ready()
    shown.metrics.status_written(NAME, ready, ready)
    assert shown("dms_stage_duration_seconds_count", stage="resolve", outcome="Succeeded") is None


def test_boards_in_use_are_counted_from_live_benchmark_pods() -> None:
    caches = Caches()
    shown = Shown(caches)
    offer = {"dms.edge/qcs8255": "1"}
    for name in ("a", "b"):
        metadata = {"name": name, "uid": name, "resourceVersion": "1", "labels": {"dms.edge/board": "qcs8255"}}
        caches.nodes.put({"metadata": metadata, "status": {"capacity": offer, "allocatable": offer}})
    for name, node, phase in (("p", "a", "Running"), ("q", "b", "Succeeded"), ("r", "", "Pending")):
        metadata = {"name": name, "uid": name, "resourceVersion": "1", "labels": {"dms.edge/stage": "benchmark"}}
        caches.pods.put({"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}})
    assert shown("dms_board_capacity", board="qcs8255") == 2
    assert shown("dms_board_allocated", board="qcs8255") == 1


def test_a_board_whose_node_is_not_ready_is_down_unless_it_was_taken_out_of_service() -> None:
    caches = Caches()
    shown = Shown(caches)
    for name, ready, disabled in (("a", "True", "false"), ("b", "Unknown", "false"), ("c", "Unknown", "true")):
        marks = {"dms.edge/board": "tda4vm", "dms.edge/board-disabled": disabled}
        metadata = {"name": name, "uid": name, "resourceVersion": "1", "labels": marks}
        caches.nodes.put({"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    figures = {name: shown(f"dms_board_{name}", board="tda4vm") for name in ("nodes", "disabled", "down")}
    assert figures == {"nodes": 3, "disabled": 1, "down": 1}


def test_series_per_deployment_are_bounded_whatever_the_spec_asks_for_and_whatever_becomes_of_it() -> None:
    """As many targets as there may be, figures of every provenance, every stage at work, and a rollout."""
    measured = [latency(each, p90="0.42ms", p99="0.42ms") for each in PROVENANCE_ORDER]
    ready = _ready(latencies=measured, power=Power("800mW"))
    targets = [ready.targets[0].model_copy(update={"name": f"target-{number}"}) for number in range(16)]
    stages = [
        StageStatus(name=name, stage=name, recipe=RECIPE, job=name, state=state, started_at="2026-11-23T12:00:00Z")
        for name in get_args(StageName)
        for state in ("Pending", "Running")
    ]
    rollout = DeploymentStatus.model_validate(fleet_world().settle().status).rollout
    worst = ready.model_copy(update={"targets": targets, "stages": stages, "rollout": rollout})
    wanted = SPEC | {"quantization": {"maxAccuracyDrop": 0.01}}
    samples = samples_of(NAME, wanted, worst)
    seen = {sample.family for sample in samples}
    assert seen == set(FAMILIES) - {ERROR}, "which stands in the place of the accuracy"
    of_targets = [sample for sample in samples if "target" in sample.family.labels]
    assert len(of_targets) <= 16 * 30, "docs/observability.md"
    assert len(samples) - len(of_targets) <= 80, "docs/observability.md"
    assert len({(sample.family.name, sample.labels) for sample in samples}) == len(samples)


def test_requests_to_the_api_are_counted_by_verb_and_code(shown: Shown) -> None:
    shown.metrics.count_request("PATCH", "409")
    assert shown("dms_api_requests_total", verb="PATCH", code="409") == 1


def test_the_queue_is_shown(shown: Shown) -> None:
    assert shown("dms_queue_depth") == 3
