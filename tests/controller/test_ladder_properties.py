"""What holds of every ladder, whatever its rungs lose: a pure decision from the spec and what was found."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.builders import COCKPIT, ENTRY, Script, World, accuracy, interval, variant, world
from dms_operator.api.spec import QuantizationSpec
from dms_operator.api.stages import QuantizeRecipe, VariantFacts
from dms_operator.controller import gates
from dms_operator.controller.rungs import Rung, rungs

LIMIT = 0.01
Changes = tuple[int, int]
"""Samples that are right in the reference alone, and in the variant alone."""


class Counted(Script):
    """Each rung changes so many samples, in the order of its ladder."""

    def __init__(self, samples: int, by_rung: Mapping[str, Changes], **script: Any) -> None:
        super().__init__(**script)
        self._samples, self._by_rung = samples, by_rung

    def _variant(self, recipe: QuantizeRecipe) -> VariantFacts:
        rung = Rung(recipe.precision, recipe.method, recipe.calibration, recipe.static)
        return scored(recipe, self._samples, self._by_rung.get(rung.name(recipe.toolchain), (0, 0)))


def scored(recipe: QuantizeRecipe | None, samples: int, changes: Changes) -> VariantFacts:
    lost, gained = changes
    drop = (lost - gained) / samples
    found = {"accuracy": accuracy(0.9 - drop, samples), "accuracy_drop": drop}
    return variant(0.0, recipe).model_copy(update=found | {"drop_interval": interval(lost, gained, samples)})


@st.composite
def ladders(draw: st.DrawFn) -> tuple[World, list[Rung], Mapping[str, VariantFacts]]:
    """A deployment of int8 for one target, its rungs, and what each of them would be found to lose."""
    target, toolchain = draw(st.sampled_from([(COCKPIT, "qnn"), (ENTRY, "tidl")]))
    trainable = draw(st.booleans())
    possible = rungs("int8", QuantizationSpec(), toolchain, trainable)
    samples = draw(st.sampled_from([100, 300, 480, 1000]))
    changes = draw(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=len(possible), max_size=len(possible))
    )
    by_rung = {rung.name(toolchain): change for rung, change in zip(possible, changes, strict=True)}
    script = Counted(samples, by_rung, model_format="pt2" if trainable else "onnx")
    return world(target, script=script), possible, {n: scored(None, samples, c) for n, c in by_rung.items()}


def tried(done: World) -> list[str]:
    found: list[dict[str, Any]] = done.status["targets"][0]["candidates"]
    return [each["variant"] for each in found]


def outcomes(names: Sequence[str], facts: Mapping[str, VariantFacts]) -> list[str]:
    return [gates.accuracy_gate(facts[name], LIMIT).outcome for name in names]


def within(names: Sequence[str], facts: Mapping[str, VariantFacts]) -> list[str]:
    return [name for name in names if gates.accuracy_doubt(facts[name], LIMIT) == "Unproven"]


@settings(max_examples=60, deadline=None)
@given(ladders())
def test_the_first_rung_that_is_proven_wins_and_nothing_is_made_after_it(
    case: tuple[World, list[Rung], Mapping[str, VariantFacts]],
) -> None:
    new, _, facts = case
    done = new.run()
    (target,) = done.status["targets"]
    found = outcomes(tried(done), facts)
    assert "Pass" not in found[:-1]
    assert (target["state"] == "Ready") == (found[-1] == "Pass")
    assert target["state"] != "Ready" or target["variant"] == tried(done)[-1]


@settings(max_examples=60, deadline=None)
@given(ladders())
def test_no_training_and_no_search_follow_a_loss_within_the_limit_and_nothing_else_is_left_out(
    case: tuple[World, list[Rung], Mapping[str, VariantFacts]],
) -> None:
    new, possible, facts = case
    done = new.run()
    toolchain = done.status["targets"][0]["toolchain"]
    expected: list[str] = []
    for rung in possible:
        name = rung.name(toolchain)
        if within(expected, facts) and (rung.method == "qat" or rung.searches):
            continue
        expected.append(name)
        if outcomes([name], facts) == ["Pass"] or gates.accuracy_doubt(facts[name], LIMIT) == "Unprovable":
            break
    assert tried(done) == expected


@settings(max_examples=60, deadline=None)
@given(ladders())
def test_a_ladder_that_proved_nothing_names_a_rung_within_the_limit_whose_bound_is_least(
    case: tuple[World, list[Rung], Mapping[str, VariantFacts]],
) -> None:
    new, _, facts = case
    done = new.run()
    (target,) = done.status["targets"]
    doubted = within(tried(done), facts)
    if target["state"] == "Ready" or not doubted:
        return
    assert target["reason"] == "AccuracyInconclusive"
    least = min(doubted, key=lambda name: facts[name].drop_interval.high or 0)  # type: ignore[union-attr]
    assert gates.accuracy_gate(facts[least], LIMIT).message in target["message"]
    assert len(tried(done)) == 1 or f"tried: {least})" in target["message"]


@settings(max_examples=30, deadline=None)
@given(ladders())
def test_a_second_look_changes_nothing_and_the_same_findings_lead_to_the_same_end(
    case: tuple[World, list[Rung], Mapping[str, VariantFacts]],
) -> None:
    new, _, _ = case
    again = World(new.body | {"status": {}}, new.script)
    done = new.run()
    before, made = done.status, list(done.created)
    assert (done.run().status, done.created) == (before, made)
    assert again.run().status["targets"] == before["targets"]
