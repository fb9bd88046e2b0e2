"""The regression gates: what a new revision is held against, and when it is too much worse."""

from typing import Any

import pytest

from controller.builders import COCKPIT, Script, accuracy, benchmark, latency, variant, world
from dms_operator.api.base import digest_of
from dms_operator.api.spec import RegressionSpec
from dms_operator.api.status import GateStatus, ProvenTarget
from dms_operator.controller import gates

LADDER = {**COCKPIT, "precisions": ["int8", "fp16"]}


def stable(provenance: str = "simulated", p50: str = "0.400ms", **score: Any) -> gates.Baseline:
    target = {
        "name": "cockpit",
        "board": "qcs8255",
        "artifact": digest_of("stable"),
        "latencies": [{"provenance": "host", "p50": "0.001ms"}, {"provenance": provenance, "p50": p50}],
        "accuracy": accuracy(**{"value": 0.98, **score}),
    }
    return gates.Baseline("0123456789ab", ProvenTarget.model_validate(target))


def held(before: gates.Baseline | None, score: float = 0.98, **figure: Any) -> dict[str, GateStatus]:
    facts = benchmark(latencies=[latency("host", "9ms").to_wire(), latency(**figure).to_wire()])
    ours = variant().model_copy(update={"accuracy": accuracy(score)})
    return {gate.name: gate for gate in gates.regression_gates(ours, facts, "qnn", before, RegressionSpec())}


def test_the_first_revision_has_nothing_to_be_worse_than() -> None:
    for gate in held(None).values():
        assert (gate.outcome, gate.message) == ("Pass", "no stable revision to be held against")


@pytest.mark.parametrize(("p50", "outcome"), [("0.300ms", "Pass"), ("0.440ms", "Pass"), ("0.441ms", "Fail")])
def test_the_median_may_rise_by_ten_percent(p50: str, outcome: str) -> None:
    assert held(stable(), p50=p50)["latencyRegression"].outcome == outcome


def test_a_slower_revision_is_told_with_both_figures() -> None:
    assert held(stable(), p50="0.600ms")["latencyRegression"].message == (
        "p50 0.6 ms (simulated) is 50 % above 0.4 ms of stable revision 0123456789ab, 10 % allowed"
    )


def test_a_noisy_run_is_no_regression_but_no_pass_either() -> None:
    assert held(stable(), p50="0.600ms", noisy=True)["latencyRegression"].outcome == "Inconclusive"


def test_figures_of_different_provenance_are_not_compared() -> None:
    gate = held(stable("measured"))["latencyRegression"]
    assert (gate.outcome, gates.miss_reason(gate)) == ("Inconclusive", "RegressionInconclusive")


@pytest.mark.parametrize(("score", "outcome"), [(0.99, "Pass"), (0.97, "Pass"), (0.96, "Inconclusive"), (0.9, "Fail")])
def test_accuracy_may_fall_by_a_point_and_fails_beyond_chance(score: float, outcome: str) -> None:
    assert held(stable(), score)["accuracyRegression"].outcome == outcome


def test_a_loss_that_may_be_chance_says_how_many_samples_would_decide() -> None:
    assert held(stable(), 0.96)["accuracyRegression"].message == (
        "lost 2.0 points of top1 against stable revision 0123456789ab, 1.0 points allowed, which may be chance: "
        "about 2000 samples would decide"
    )


def test_scores_of_another_metric_are_not_compared() -> None:
    gate = held(stable(metric="mae"), 0.5)["accuracyRegression"]
    assert (gate.outcome, gate.message) == (
        "Pass",
        "not comparable with stable revision 0123456789ab: scored by mae",
    )


def outcomes(done: Any) -> dict[str, str]:
    (target,) = done.status["targets"]
    return {gate["name"]: gate["outcome"] for gate in target["candidates"][0]["gates"]}


def test_a_new_revision_that_is_slower_within_the_budget_is_refused_and_the_stable_one_stays() -> None:
    done = world(LADDER, benchmark={"latencyBudget": "50ms"}).run()
    first = done.status["revision"]["stable"]
    done.script = Script(benchmark={"latencies": [latency(p50="0.900ms", bound="1ms").to_wire()]})
    done.edit(model={"uri": "file:///models/other.pt2"})
    done.run()
    assert done.status["phase"] == "Failed"
    assert done.status["revision"]["stable"] == first
    (target,) = done.status["targets"]
    assert target["reason"] == "LatencyRegressed"
    assert f"125 % above 0.4 ms of stable revision {first}, 10 % allowed" in target["message"]
    assert "accept it by a larger benchmark.regression.latency" in target["message"]


def test_a_regression_that_is_accepted_in_the_spec_becomes_stable_and_stays_so_when_the_limit_is_restored() -> None:
    done = world(COCKPIT).run()
    first = done.status["revision"]["stable"]
    done.script = Script(benchmark={"latencies": [latency(p50="0.900ms", bound="1ms").to_wire()]})
    done.edit(model={"uri": "file:///models/other.pt2"}, benchmark={"regression": {"latency": "200%"}})
    done.run()
    second = done.status["revision"]["stable"]
    assert second != first
    done.edit(benchmark={})
    done.run()
    assert done.status["phase"] == "Ready"
    gate = done.status["targets"][0]["candidates"][0]["gates"][-1]
    assert gate["message"].endswith(f"0.4 ms of stable revision {first}, 10 % allowed; accepted when it became stable")


def test_a_revision_that_became_stable_is_still_told_what_it_was_held_against() -> None:
    done = world(COCKPIT).run()
    first = done.status["revision"]["stable"]
    done.edit(model={"uri": "file:///models/other.pt2"})
    done.run()
    writes = done.status_writes
    done.reconcile()
    assert done.status_writes == writes
    assert done.status["revision"]["baseline"] == first
    assert f"of stable revision {first}" in done.status["targets"][0]["candidates"][0]["gates"][-1]["message"]


def test_a_candidate_that_was_rejected_stays_rejected_when_another_became_stable() -> None:
    """int8 is 15 % above the first revision and 5 % above the one that fp16 makes: it is not held against that."""
    done = world(LADDER).run()
    done.script = Script(medians={"int8": "0.460ms", "fp16": "0.440ms"})
    done.edit(model={"uri": "file:///models/other.pt2"})
    done.run()
    assert done.status["targets"][0]["variant"] == "fp16-qnn"
    revision, writes = done.status["revision"], done.status_writes
    for _ in range(3):
        done.tick()
        done.reconcile()
    assert (done.status["revision"], done.status_writes) == (revision, writes)


def test_targets_that_did_not_change_are_not_held_against_themselves() -> None:
    done = world(COCKPIT).run()
    done.edit(benchmark={"latencyBudget": "40ms"})
    done.run()
    assert outcomes(done)["latencyRegression"] == "Pass"
    assert "no stable revision" in done.status["targets"][0]["candidates"][0]["gates"][-1]["message"]
