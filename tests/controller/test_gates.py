"""Gates: which figure passes which limit, and what is never a pass. Accuracy has a file of its own."""

from typing import Any

import pytest

from controller.builders import benchmark, compiled, latency
from dms_operator.api.quantities import Memory, Power
from dms_operator.api.spec import BenchmarkSpec
from dms_operator.api.stages import BenchmarkFacts, Delegation, Provenance
from dms_operator.controller import gates


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


@pytest.mark.parametrize(("value", "outcome"), [("false", "Fail"), ("3%", "Fail"), ("4%", "Pass"), ("3.4%", "Pass")])
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
    assert gate.message.startswith("64 timed queries are too few for a bound of p99: 598 more are needed (measured)")


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


@pytest.mark.parametrize("figure", [{"bound": "0.900ms"}, {"bound": None, "p50": "0.600ms"}, {"bound": "0.100ms"}])
def test_a_noisy_run_proves_nothing_in_either_direction(figure: dict[str, Any]) -> None:
    facts = benchmark(latencies=[latency("measured", samples=64, noisy=True, **figure).to_wire()])
    assert gates.latency_gate(facts, "qnn", WANTED).outcome == "Inconclusive"


@pytest.mark.parametrize(
    ("slowest", "outcome"), [("0.500ms", "Pass"), ("0.501ms", "Inconclusive"), (None, "Inconclusive")]
)
def test_a_noisy_run_passes_only_where_even_its_slowest_query_is_within_the_budget(
    slowest: str | None, outcome: str
) -> None:
    run = latency("measured", "0.400ms", samples=1024, noisy=True, max=slowest)
    gate = gates.latency_gate(benchmark(latencies=[run.to_wire()]), "qnn", WANTED)
    assert gate.outcome == outcome
    if outcome == "Pass":
        assert gate.message.endswith("budget 0.5 ms; the run was noisy, but even its slowest query took 0.5 ms")


def test_a_noisy_run_too_short_for_a_bound_does_not_pass_by_its_slowest_query() -> None:
    run = latency("measured", None, samples=64, noisy=True, max="0.100ms")
    assert gates.latency_gate(benchmark(latencies=[run.to_wire()]), "qnn", WANTED).outcome == "Inconclusive"


@pytest.mark.parametrize(("toolchain", "outcome"), [("qnn", "Inconclusive"), ("onnxruntime", "Pass")])
def test_the_build_machine_says_nothing_about_an_npu(toolchain: str, outcome: str) -> None:
    facts = benchmark(latencies=[latency("host", "0.100ms", samples=128).to_wire()])
    assert gates.latency_gate(facts, toolchain, WANTED).outcome == outcome


def wanted(**fields: Any) -> BenchmarkSpec:
    return BenchmarkSpec.model_validate(fields)


CAMERA = wanted(latencyBudget="5ms", endToEnd={}, minProvenance="estimated")


def camera(provenance: str = "estimated", bound: str | None = "4ms", **changes: Any) -> Any:
    return benchmark(endToEnd=latency(provenance, bound, p50="3ms", samples=700, **changes).to_wire())


@pytest.mark.parametrize(("bound", "outcome"), [("4ms", "Pass"), ("6ms", "Fail"), (None, "Inconclusive")])
def test_the_budget_is_about_camera_to_decision_where_that_is_asked_for(bound: str | None, outcome: str) -> None:
    gate = gates.latency_gate(camera(bound=bound), "qnn", CAMERA)
    assert gate.outcome == outcome
    if bound:
        assert gate.message == f"camera to decision: p99 at most {bound[0]} ms (estimated), budget 5 ms"


def test_a_noisy_camera_run_proves_nothing() -> None:
    assert gates.latency_gate(camera(noisy=True), "qnn", CAMERA).outcome == "Inconclusive"


def test_camera_to_decision_that_was_not_timed_is_never_replaced_by_the_networks_latency() -> None:
    assert gates.latency_gate(benchmark("0.1ms"), "qnn", CAMERA).outcome == "Inconclusive"
    assert gates.provenance_gate(benchmark("0.1ms"), "qnn", CAMERA).outcome == "Fail"


def test_a_cost_model_without_upper_estimate_proves_nothing() -> None:
    gate = gates.latency_gate(benchmark(None), "qnn", WANTED)
    assert (gate.outcome, gate.message) == (
        "Inconclusive",
        "QNN cost model gives no upper bound (simulated), budget 0.5 ms",
    )


def test_a_soc_without_cost_model_is_told_as_the_reason() -> None:
    facts = BenchmarkFacts(latencies=[latency("host")], latency_note="toolchain qnn has no cost model for this SoC")
    gate = gates.provenance_gate(facts, "qnn", wanted())
    assert (gate.outcome, gate.value) == ("Fail", "none")
    assert gate.message.endswith("minProvenance is simulated: toolchain qnn has no cost model for this SoC")


MEASURED: dict[str, Any] = {
    "latencies": [latency("measured", "0.4ms", samples=700).to_wire()],
    "accuracyProvenance": "measured",
}


@pytest.mark.parametrize(
    ("minimum", "outcome"), [("host", "Pass"), ("estimated", "Pass"), ("simulated", "Pass"), ("measured", "Fail")]
)
def test_provenance_has_to_be_as_strong_as_asked(minimum: Provenance, outcome: str) -> None:
    assert gates.provenance_gate(benchmark(), "qnn", wanted(minProvenance=minimum)).outcome == outcome


@pytest.mark.parametrize(
    ("facts", "asked", "named"),
    [
        (benchmark(**(MEASURED | {"accuracyProvenance": "simulated"})), {}, "accuracy on target is simulated"),
        (benchmark(**(MEASURED | {"accuracyProvenance": None})), {}, "accuracy on target is unknown"),
        (benchmark(**MEASURED, endToEnd=camera().end_to_end), {"endToEnd": {}}, "camera-to-decision latency is estima"),
        (benchmark(**MEASURED, power="1W", powerProvenance="estimated"), {"powerBudget": "2W"}, "power is estimated"),
        (benchmark(**MEASURED, power="1W"), {"powerBudget": "2W"}, "power is unknown"),
        (benchmark(**MEASURED, memory="1Mi", memoryProvenance="simulated"), {"memoryBudget": "2Mi"}, "memory is simul"),
    ],
)
def test_every_figure_that_a_gate_rests_on_needs_the_provenance(facts: Any, asked: dict[str, Any], named: str) -> None:
    gate = gates.provenance_gate(facts, "qnn", wanted(minProvenance="measured", **asked))
    assert gate.outcome == "Fail"
    assert gate.message.startswith(named)
    assert gate.message.endswith("minProvenance is measured")
    assert gates.miss_reason(gate) == "ProvenanceTooWeak"


def test_figures_that_no_gate_rests_on_need_no_provenance() -> None:
    facts = benchmark(**MEASURED, power="1W", memory="1Mi", memoryProvenance="simulated", endToEnd=camera().end_to_end)
    assert gates.provenance_gate(facts, "qnn", wanted(minProvenance="measured")).outcome == "Pass"


def test_host_figures_are_no_provenance_for_an_npu_even_if_host_is_accepted() -> None:
    facts = benchmark(latencies=[latency("host", "0.100ms").to_wire()])
    assert gates.provenance_gate(facts, "qnn", wanted(minProvenance="host")).outcome == "Fail"
    whole = benchmark(endToEnd=latency("host", "0.100ms").to_wire())
    assert gates.provenance_gate(whole, "qnn", wanted(minProvenance="host", endToEnd={})).outcome == "Fail"


@pytest.mark.parametrize(("power", "outcome"), [("800mW", "Pass"), ("801mW", "Fail"), (None, "Inconclusive")])
def test_power_has_to_be_proven(power: str | None, outcome: str) -> None:
    assert gates.power_gate(benchmark(power=power), Power("0.8W")).outcome == outcome


def test_power_that_is_not_there_says_why() -> None:
    gate = gates.power_gate(benchmark(powerNote="the board is not at hand"), Power("1W"))
    assert gate.message == "power could not be measured (the board is not at hand), budget 1000 mW"


@pytest.mark.parametrize(
    ("memory", "provenance", "outcome"),
    [
        ("64Mi", "measured", "Pass"),
        ("65Mi", "measured", "Fail"),
        ("10Mi", "estimated", "Inconclusive"),
        ("65Mi", "estimated", "Fail"),
        (None, None, "Inconclusive"),
    ],
)
def test_memory_is_proven_by_a_peak_and_never_by_a_lower_limit(
    memory: str | None, provenance: str | None, outcome: str
) -> None:
    gate = gates.memory_gate(benchmark(memory=memory, memoryProvenance=provenance), Memory("64Mi"))
    assert gate.outcome == outcome
    assert gate.limit == "64 MiB"


def test_the_reason_tells_a_missing_figure_from_a_bad_one() -> None:
    unknown, bad = gates.power_gate(benchmark(), Power("1W")), gates.power_gate(benchmark(power="2W"), Power("1W"))
    assert (gates.miss_reason(unknown), gates.miss_reason(bad)) == ("PowerUnavailable", "PowerBudgetExceeded")
    measured = benchmark(memory="2Mi", memoryProvenance="measured")
    unknown, bad = gates.memory_gate(benchmark(), Memory("1Mi")), gates.memory_gate(measured, Memory("1Mi"))
    assert (gates.miss_reason(unknown), gates.miss_reason(bad)) == ("MemoryUnavailable", "MemoryBudgetExceeded")
