"""Gates: which figure passes which limit, and what is never a pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.builders import accuracy, benchmark, compiled, latency, variant
from dms_operator.api.quantities import Power
from dms_operator.api.spec import BenchmarkSpec
from dms_operator.api.stages import Delegation, Provenance
from dms_operator.controller import gates
from dms_operator.controller.gates.target_accuracy import CHANCE, binomial_tail


@pytest.mark.parametrize(
    ("drop", "limit", "outcome"),
    [(0.004, 0.01, "Pass"), (0.01, 0.01, "Pass"), (0.0101, 0.01, "Fail"), (-0.02, 0.0, "Pass"), (0.001, 0.0, "Fail")],
)
def test_accuracy_passes_up_to_the_limit(drop: float, limit: float, outcome: str) -> None:
    assert gates.accuracy_gate(variant(drop), limit).outcome == outcome


def test_a_drop_that_equals_the_limit_but_for_rounding_passes() -> None:
    assert gates.accuracy_gate(variant(0.98 - 0.97), 0.01).outcome == "Pass"


def test_accuracy_says_figure_limit_and_samples() -> None:
    gate = gates.accuracy_gate(variant(0.023), 0.01)
    assert (gate.value, gate.limit) == ("2.3 points", "1.0 points")
    assert gate.message == "lost 2.3 points of top1 on 1000 samples, 1.0 points allowed"


def on_target(lost: int, samples: int, limit: float = 0.01) -> str:
    facts = benchmark(
        accuracyOnTarget=accuracy(1 - lost / samples, samples).to_wire(), accuracyOnTargetDrop=lost / samples
    )
    return gates.target_accuracy_gate(facts, limit).outcome


@pytest.mark.parametrize(("lost", "outcome"), [(0, "Pass"), (1, "Pass"), (2, "Pass"), (3, "Fail"), (16, "Fail")])
def test_sixteen_samples_fail_only_beyond_chance(lost: int, outcome: str) -> None:
    assert on_target(lost, 16) == outcome


@pytest.mark.parametrize(("lost", "outcome"), [(10, "Pass"), (14, "Inconclusive"), (30, "Fail")])
def test_samples_that_resolve_the_limit_are_held_to_it(lost: int, outcome: str) -> None:
    assert on_target(lost, 1000) == outcome


def test_no_loss_allowed_means_none_on_target() -> None:
    assert on_target(1, 16, limit=0.0) == "Fail"


def test_accuracy_on_target_that_nobody_measured_is_not_a_pass() -> None:
    facts = benchmark(accuracyOnTarget=None, accuracyOnTargetDrop=None)
    assert gates.target_accuracy_gate(facts, 1.0).outcome == "Inconclusive"


@pytest.mark.parametrize(("drop", "outcome"), [(0.02, "Pass"), (0.2, "Fail")])
def test_other_metrics_are_held_to_their_confidence_interval(drop: float, outcome: str) -> None:
    figure = accuracy(1.0 - drop, 16, metric="cosine", low=0.7, high=1.05 - drop)
    facts = benchmark(accuracyOnTarget=figure.to_wire(), accuracyOnTargetDrop=drop)
    assert gates.target_accuracy_gate(facts, 0.01).outcome == outcome


@given(st.integers(1, 400), st.floats(0, 0.5), st.data())
def test_more_lost_samples_never_judge_better(samples: int, limit: float, data: st.DataObject) -> None:
    rank = {"Pass": 0, "Inconclusive": 1, "Fail": 2}
    lost = data.draw(st.integers(0, samples - 1))
    assert rank[on_target(lost, samples, limit)] <= rank[on_target(lost + 1, samples, limit)]


def test_the_binomial_tail_agrees_with_known_values() -> None:
    assert binomial_tail(1, 16, 0.01) == pytest.approx(1 - 0.99**16)
    assert binomial_tail(3, 3, 0.5) == pytest.approx(0.125)
    assert binomial_tail(0, 16, 0.01) == 1.0
    assert binomial_tail(1, 16, 0.0) == 0.0
    assert binomial_tail(11_000, 1_000_000, 0.01) < CHANCE


def test_every_node_has_to_run_on_the_npu() -> None:
    assert gates.delegation_gate(compiled(), {}).outcome == "Pass"
    gate = gates.delegation_gate(compiled(delegation=Delegation(npu=29, total=30, left_on_cpu=["Erf x1"])), {})
    assert (gate.outcome, gate.value) == ("Fail", "29/30")
    assert gate.message == "29 of 30 nodes run on the NPU, left on the CPU: Erf x1"


def test_nodes_on_the_cpu_pass_only_where_the_user_accepts_them() -> None:
    partly = compiled(delegation=Delegation(npu=29, total=30, left_on_cpu=["Erf x1"]))
    gate = gates.delegation_gate(partly, {"allow-cpu-fallback": "true"})
    assert gate.outcome == "Pass"
    assert gate.message.endswith("left on the CPU: Erf x1 (accepted by option allow-cpu-fallback)")


@pytest.mark.parametrize(("value", "outcome"), [("false", "Fail"), ("3%", "Fail"), ("4%", "Pass"), ("many", "Fail")])
def test_users_may_accept_a_share_of_nodes_on_the_cpu(value: str, outcome: str) -> None:
    partly = compiled(delegation=Delegation(npu=29, total=30, left_on_cpu=["Erf x1"]))
    assert gates.delegation_gate(partly, {"allow-cpu-fallback": value}).outcome == outcome


def test_a_graph_without_counted_nodes_is_not_a_pass() -> None:
    assert gates.delegation_gate(compiled(delegation=Delegation(npu=0, total=0)), {}).outcome == "Inconclusive"


def test_a_cpu_target_has_nothing_to_delegate() -> None:
    assert gates.delegation_gate(compiled("onnxruntime", Delegation(npu=0, total=30)), {}).outcome == "Pass"


WANTED = BenchmarkSpec.model_validate({"latencyBudget": "0.5ms"})


@pytest.mark.parametrize(("bound", "outcome"), [("0.430ms", "Pass"), ("0.500ms", "Pass"), ("0.501ms", "Fail")])
def test_the_bound_has_to_stay_within_the_budget(bound: str, outcome: str) -> None:
    assert gates.latency_gate(benchmark(bound), "qnn", WANTED).outcome == outcome


def test_no_bound_proves_nothing() -> None:
    facts = benchmark(latencies=[latency("measured", None, p50="0.400ms", p99="0.450ms", samples=64).to_wire()])
    gate = gates.latency_gate(facts, "qnn", WANTED)
    assert gate.outcome == "Inconclusive"
    assert gate.message == "64 timed queries are too few for a bound of p99 (measured), budget 0.5 ms"


def test_a_median_above_the_budget_fails_even_without_bound() -> None:
    facts = benchmark(latencies=[latency("measured", None, p50="0.600ms", samples=64).to_wire()])
    assert gates.latency_gate(facts, "qnn", WANTED).outcome == "Fail"


def test_the_strongest_provenance_is_judged_alone() -> None:
    facts = benchmark(latencies=[latency().to_wire(), latency("measured", "0.900ms", samples=1024).to_wire()])
    gate = gates.latency_gate(facts, "qnn", WANTED)
    assert (gate.outcome, gate.message) == ("Fail", "p99 at most 0.9 ms (measured), budget 0.5 ms")


def test_a_noisy_run_proves_no_latency_and_says_to_measure_again() -> None:
    run = latency("measured", "0.400ms", samples=1024).to_wire() | {"noisy": True}
    facts = benchmark(latencies=[run])
    gate = gates.latency_gate(facts, "qnn", WANTED)
    assert gate.outcome == "Inconclusive"
    assert "noisy: measure again" in gate.message


@pytest.mark.parametrize(("toolchain", "outcome"), [("qnn", "Inconclusive"), ("onnxruntime", "Pass")])
def test_the_build_machine_says_nothing_about_an_npu(toolchain: str, outcome: str) -> None:
    facts = benchmark(latencies=[latency("host", "0.100ms", samples=128).to_wire()])
    assert gates.latency_gate(facts, toolchain, WANTED).outcome == outcome


@pytest.mark.parametrize(
    ("minimum", "outcome"), [("host", "Pass"), ("estimated", "Pass"), ("simulated", "Pass"), ("measured", "Fail")]
)
def test_provenance_has_to_be_as_strong_as_asked(minimum: Provenance, outcome: str) -> None:
    assert gates.provenance_gate(benchmark(), "qnn", minimum).outcome == outcome


def test_host_figures_are_no_provenance_for_an_npu_even_if_host_is_accepted() -> None:
    facts = benchmark(latencies=[latency("host", "0.100ms").to_wire()])
    assert gates.provenance_gate(facts, "qnn", "host").outcome == "Fail"


@pytest.mark.parametrize(("power", "outcome"), [("800mW", "Pass"), ("801mW", "Fail"), (None, "Inconclusive")])
def test_power_has_to_be_proven(power: str | None, outcome: str) -> None:
    assert gates.power_gate(benchmark(power=power), Power("0.8W")).outcome == outcome


def test_the_reason_tells_a_missing_figure_from_a_bad_one() -> None:
    unknown, bad = gates.power_gate(benchmark(), Power("1W")), gates.power_gate(benchmark(power="2W"), Power("1W"))
    assert (gates.miss_reason(unknown), gates.miss_reason(bad)) == ("PowerUnavailable", "PowerBudgetExceeded")
