"""The accuracy gates: what is proven, what is disproven, and how many samples would decide the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.builders import accuracy, benchmark, interval, variant
from dms_operator.api.confidence import deciding_samples, fewest_samples
from dms_operator.api.stages import AccuracyFacts, DropInterval, VariantFacts
from dms_operator.api.status import GateStatus
from dms_operator.controller import gates
from dms_operator.controller.gates.target_accuracy import CHANCE, binomial_tail


def scored(lost: int, gained: int, samples: int) -> VariantFacts:
    drop = (lost - gained) / samples
    changes = {
        "accuracy": accuracy(0.98 - drop, samples),
        "accuracy_drop": drop,
        "drop_interval": interval(lost, gained, samples),
    }
    return variant().model_copy(update=changes)


def judged(lost: int, gained: int, samples: int, limit: float = 0.01) -> GateStatus:
    return gates.accuracy_gate(scored(lost, gained, samples), limit)


@pytest.mark.parametrize(
    ("lost", "gained", "samples", "outcome"),
    [
        (0, 0, 300, "Pass"),
        (0, 0, 298, "Inconclusive"),
        (1, 0, 300, "Inconclusive"),
        (1, 0, 200, "Inconclusive"),
        (5, 4, 1000, "Pass"),
        (10, 6, 1000, "Inconclusive"),
        (20, 5, 1000, "Inconclusive"),
        (40, 5, 1000, "Fail"),
        (0, 20, 1000, "Pass"),
        (16, 0, 32, "Fail"),
    ],
)
def test_a_drop_passes_or_fails_only_beyond_chance(lost: int, gained: int, samples: int, outcome: str) -> None:
    assert judged(lost, gained, samples).outcome == outcome


def test_half_a_point_on_two_hundred_samples_proves_nothing_and_says_how_many_would() -> None:
    gate = judged(1, 0, 200)
    assert gate.message == (
        "lost 0.5 points of top1 on 200 samples, at most 2.35 points at 95 % confidence, 1.0 points allowed: "
        "about 1200 samples would decide"
    )
    assert (gate.value, gate.limit) == ("0.5 points", "1.0 points")
    assert gates.miss_reason(gate) == "AccuracyInconclusive"


def test_as_many_samples_as_were_named_decide() -> None:
    for lost, gained, samples in [(1, 0, 200), (10, 6, 1000), (20, 5, 1000), (0, 0, 100)]:
        more = deciding_samples(lost, gained, samples, 0.01)
        assert more is not None
        assert judged(round(lost * more / samples), round(gained * more / samples), more).outcome != "Inconclusive"


def test_a_loss_as_large_as_the_limit_is_not_decided_by_more_samples() -> None:
    assert judged(10, 0, 1000).message.endswith(
        "the loss is about as large as what is allowed, so that more samples would hardly decide"
    )


def test_a_failure_says_by_how_much_at_least() -> None:
    assert judged(40, 5, 1000).message == (
        "lost 3.5 points of top1 on 1000 samples, at least 2.49 points at 95 % confidence, 1.0 points allowed"
    )


def test_the_reference_itself_has_lost_nothing_however_few_samples_there_are() -> None:
    facts = variant().model_copy(update={"precision": "fp32", "drop_interval": None, "accuracy_drop": 0.0})
    assert gates.accuracy_gate(facts, 0.01).outcome == "Pass"
    assert gates.accuracy_doubt(facts, 0.01) is None


def test_a_result_without_interval_proves_nothing_and_says_what_to_do() -> None:
    gate = gates.accuracy_gate(variant().model_copy(update={"drop_interval": None}), 0.01)
    assert gate.outcome == "Inconclusive"
    assert "make it again" in gate.message


@pytest.mark.parametrize(
    ("lost", "gained", "samples", "doubt"),
    [
        (0, 0, 100, "Unprovable"),  # nobody can prove a point with so few
        (3, 0, 100, "Unprovable"),
        (1, 0, 300, "Unproven"),  # probably within the limit: more samples would prove it
        (5, 0, 300, None),  # probably beyond: another rung may lose less
        (0, 0, 300, None),  # proven
        (40, 0, 300, None),  # disproven
    ],
)
def test_what_samples_are_lacking_for(lost: int, gained: int, samples: int, doubt: str | None) -> None:
    assert gates.accuracy_doubt(scored(lost, gained, samples), 0.01) == doubt


def test_without_an_interval_nothing_can_be_proven_of_any_variant() -> None:
    assert gates.accuracy_doubt(variant().model_copy(update={"drop_interval": None}), 0.01) == "Unprovable"


def bootstrapped(metric: str, drop: float, low: float | None, high: float | None, samples: int = 100) -> VariantFacts:
    figure = accuracy(0.9, samples, metric=metric)
    bounds = DropInterval(low=low, high=high)
    return variant().model_copy(update={"accuracy": figure, "accuracy_drop": drop, "drop_interval": bounds})


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.001, 0.009, "Pass"), (0.001, 0.02, "Inconclusive"), (0.011, 0.03, "Fail")]
)
@pytest.mark.parametrize("metric", ["mae", "cosine", "macroF1"])
def test_other_metrics_are_held_to_the_same_rule(metric: str, low: float, high: float, outcome: str) -> None:
    assert gates.accuracy_gate(bootstrapped(metric, 0.005, low, high), 0.01).outcome == outcome


def test_bounds_of_a_mean_close_in_with_the_root_of_the_samples() -> None:
    assert gates.accuracy_gate(bootstrapped("mae", 0.005, 0, 0.02), 0.01).message == (
        "lost 0.005 of mae on 100 samples, at most 0.02 at 95 % confidence, 0.01 allowed: "
        "about 900 samples would decide"
    )


def test_too_few_samples_for_a_bootstrap_say_how_many_it_takes() -> None:
    assert (
        "about 20 samples would decide" in gates.accuracy_gate(bootstrapped("mae", 0.005, None, None, 8), 0.01).message
    )


@given(st.integers(1, 400), st.floats(0.001, 0.5), st.data())
def test_more_lost_samples_never_judge_better(samples: int, limit: float, data: st.DataObject) -> None:
    rank = {"Pass": 0, "Inconclusive": 1, "Fail": 2}
    lost = data.draw(st.integers(0, samples - 1))
    for outcome in (on_target, lambda *each: judged(each[0], 0, each[1], each[2]).outcome):
        assert rank[outcome(lost, samples, limit)] <= rank[outcome(lost + 1, samples, limit)]


def on_target(lost: int, samples: int, limit: float = 0.01) -> str:
    facts = benchmark(
        accuracyOnTarget=accuracy(1 - lost / samples, samples).to_wire(),
        accuracyOnTargetDrop=lost / samples,
        accuracyOnTargetInterval=interval(lost, 0, samples),
    )
    return gates.target_accuracy_gate(facts, limit).outcome


@pytest.mark.parametrize(("lost", "outcome"), [(0, "Pass"), (1, "Pass"), (2, "Pass"), (3, "Fail"), (16, "Fail")])
def test_sixteen_samples_on_target_may_contradict_but_not_prove(lost: int, outcome: str) -> None:
    assert on_target(lost, 16) == outcome


def test_too_few_samples_on_target_say_that_they_are() -> None:
    assert gates.target_accuracy_gate(benchmark(), 0.01).message == (
        "lost 0.0 points of top1 on target (simulated, 16 samples), 1.0 points allowed: "
        "too few for a proof of their own, which takes 299"
    )


@pytest.mark.parametrize(("lost", "outcome"), [(4, "Pass"), (10, "Inconclusive"), (14, "Inconclusive"), (30, "Fail")])
def test_enough_samples_on_target_are_held_to_the_rule_of_the_accuracy_gate(lost: int, outcome: str) -> None:
    assert on_target(lost, 1000) == outcome


def test_accuracy_on_target_that_nobody_measured_is_not_a_pass() -> None:
    facts = benchmark(accuracyOnTarget=None, accuracyOnTargetDrop=None)
    assert gates.target_accuracy_gate(facts, 1.0).outcome == "Inconclusive"


@pytest.mark.parametrize(("drop", "outcome"), [(0.02, "Pass"), (0.2, "Fail")])
def test_few_samples_of_other_metrics_are_held_to_their_confidence_interval(drop: float, outcome: str) -> None:
    figure: AccuracyFacts = accuracy(1.0 - drop, 16, metric="cosine", low=0.7, high=1.05 - drop)
    facts = benchmark(accuracyOnTarget=figure.to_wire(), accuracyOnTargetDrop=drop)
    assert gates.target_accuracy_gate(facts, 0.01).outcome == outcome


def test_the_binomial_tail_agrees_with_known_values() -> None:
    assert binomial_tail(1, 16, 0.01) == pytest.approx(1 - 0.99**16)
    assert binomial_tail(3, 3, 0.5) == pytest.approx(0.125)
    assert binomial_tail(0, 16, 0.01) == 1.0
    assert binomial_tail(1, 16, 0.0) == 0.0
    assert binomial_tail(11_000, 1_000_000, 0.01) < CHANCE


def test_the_fewest_samples_are_those_of_the_rule_of_three() -> None:
    assert [fewest_samples(limit) for limit in (0.01, 0.02, 0.1, 0.001)] == [299, 149, 29, 2995]
