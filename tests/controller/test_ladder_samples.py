"""The ladder when samples are lacking: what they cannot prove of one rung they may prove of the next."""

from typing import Any

from controller.builders import COCKPIT, ENTRY, Script, World, accuracy, interval, latency, variant, world
from dms_operator.api.stages import ModelFacts, QuantizeRecipe, Recipe, StageResult, TensorSpec, VariantFacts
from dms_operator.controller.gates import first_miss
from dms_operator.controller.ladder import Candidate
from dms_operator.controller.rungs import Rung

WITHIN, BEYOND, NONE = 1, 5, 0
"""Samples lost of 300, where one point is accepted: 0.33 points, 1.67 points (neither is decided), none (proven)."""


class Scored(Script):
    """Quantize answers with lost samples of so many, by the variant's name; `others` of all that are not named."""

    def __init__(self, samples: int, others: int = 0, lost: dict[str, int] | None = None, **script: Any) -> None:
        super().__init__(**script)
        self._samples, self._others, self._lost = samples, others, lost or {}

    def _variant(self, recipe: QuantizeRecipe) -> VariantFacts:
        rung = Rung(recipe.precision, recipe.method, recipe.calibration, recipe.static)
        lost = 0 if recipe.precision == "fp32" else self._lost.get(rung.name(recipe.toolchain), self._others)
        drop = lost / self._samples
        changes = {"accuracy": accuracy(0.98 - drop, self._samples), "accuracy_drop": drop}
        return variant(0.0, recipe).model_copy(update=changes | {"drop_interval": interval(lost, 0, self._samples)})


def tried(done: World) -> list[str]:
    found: list[dict[str, Any]] = done.status["targets"][0]["candidates"]
    return [each["variant"] for each in found]


def ladder(*precisions: str) -> dict[str, Any]:
    return {**COCKPIT, "precisions": list(precisions)}


POST_TRAINING = [
    "int8-qnn",
    "int8-qnn-percentile",
    "int8-qnn-entropy",
    "int8-qnn-mse",
    "int8-qnn-equalized",
    "int8-qnn-rounded",
    "int8-qnn-a16",
]


def test_a_loss_within_the_limit_that_is_not_proven_leads_to_the_next_rung_which_may_be() -> None:
    done = world(ENTRY, script=Scored(300, WITHIN, {"int8-tidl-entropy": NONE})).run()
    assert tried(done) == ["int8-tidl", "int8-tidl-percentile", "int8-tidl-entropy"]
    (target,) = done.status["targets"]
    assert (target["state"], target["variant"]) == ("Ready", "int8-tidl-entropy")


def test_what_was_not_proven_stays_told_with_the_samples_that_would_decide_it() -> None:
    done = world(ENTRY, script=Scored(300, WITHIN, {"int8-tidl-percentile": NONE})).run()
    doubt = (
        "lost 0.33 points of top1 on 300 samples, at most 1.57 points at 95 % confidence, 1.0 points allowed: "
        "about 640 samples would decide"
    )
    assert [each.get("reason") for each in done.status["variants"]] == ["", doubt, ""]
    told = [event.message for event in done.events if event.reason in ("GateFailed", "VariantSelected")]
    assert told == [f"entry int8-tidl: {doubt}", "entry: int8-tidl-percentile for tda4vm, 2 variants tried"]


def test_while_the_next_rung_is_made_the_target_says_what_the_last_one_lacks() -> None:
    at_work = world(script=Scored(300, WITHIN))
    while len(at_work.status.get("targets", [{}])[0].get("candidates", [])) < 2:
        at_work.reconcile()
        at_work.finish(at_work.unfinished()[0])
    (target,) = at_work.status["targets"]
    assert target["message"].startswith("int8-qnn: lost 0.33 points")
    assert target["message"].endswith("about 640 samples would decide")


def test_neither_training_nor_a_search_for_wide_layers_is_spent_on_a_loss_within_the_limit() -> None:
    done = world(script=Scored(300, WITHIN)).run()
    assert tried(done) == POST_TRAINING
    assert not any("qat" in stage or "mixed" in stage for stage in done.stages())


def test_a_ladder_without_a_proof_names_the_most_promising_rung_and_how_many_samples_would_decide() -> None:
    done = world(script=Scored(1000, 8, {"int8-qnn-entropy": 6, "int8-qnn-mse": 6})).run()
    (target,) = done.status["targets"]
    assert target["reason"] == "AccuracyInconclusive"
    assert target["message"] == (
        "int8: lost 0.6 points of top1 on 1000 samples, at most 1.18 points at 95 % confidence, 1.0 points allowed: "
        "about 1800 samples would decide (best of 7 tried: int8-qnn-entropy). "
        "No training is spent on a loss within the limit. "
        "Try: more samples in the dataset and in dataset.evaluationSamples, fewer calibrationSamples, or a larger "
        "maxAccuracyDrop"
    )
    assert done.status["summary"]["message"] == target["message"]


def test_a_loss_beyond_the_limit_is_named_only_where_none_is_within() -> None:
    done = world(script=Scored(300, BEYOND, {"int8-qnn-mse": WITHIN})).run()
    assert "(best of 7 tried: int8-qnn-mse)" in done.status["targets"][0]["message"]


def test_once_one_rung_is_within_the_limit_no_training_follows_though_later_ones_lose_more() -> None:
    done = world(script=Scored(300, BEYOND, {"int8-qnn": WITHIN})).run()
    assert tried(done) == POST_TRAINING


def test_on_tda4vm_where_training_comes_before_more_bits_these_are_tried_without_it() -> None:
    done = world(ENTRY, script=Scored(300, WITHIN, {"int8-tidl-a16": NONE})).run()
    assert tried(done)[-2:] == ["int8-tidl-equalized", "int8-tidl-a16"]
    assert done.status["phase"] == "Ready"


def test_wide_layers_that_are_proven_and_too_slow_lead_to_a_mixture_all_the_same() -> None:
    script = Scored(300, WITHIN, {"int8-qnn-a16": NONE}, bounds={"int8": "60ms"})
    done = world(script=script).run()
    assert tried(done) == [*POST_TRAINING, "int8-qnn-mixed"]


def test_a_ladder_that_ends_elsewhere_still_says_what_more_samples_would_decide() -> None:
    """A model of the chip gives no bound for 16 bits (docs/tda4vm.md); the 8-bit variant would need samples alone."""
    estimated = [latency("estimated", None).to_wire()]
    script = Scored(300, WITHIN, {"int8-tidl-a16": NONE}, benchmark={"latencies": estimated})
    done = world({**ENTRY, "minProvenance": "estimated"}, script=script).run()
    (target,) = done.status["targets"]
    assert target["reason"] == "LatencyInconclusive"
    assert "gives no upper bound (estimated), budget 50 ms (int8-tidl-a16); int8-tidl lost 0.33" in target["message"]
    assert "about 640 samples would decide" in target["message"]


def test_training_that_was_asked_for_by_name_is_made() -> None:
    done = world(script=Scored(300, WITHIN), quantization={"method": "qat"}).run()
    assert tried(done) == ["int8-qnn-qat"]
    message = done.status["targets"][0]["message"]
    assert message.count("about 640 samples would decide") == 1
    assert "No training" not in message


def test_a_model_that_cannot_be_trained_is_told_nothing_of_training() -> None:
    done = world(script=Scored(300, WITHIN, model_format="onnx")).run()
    assert "raining" not in done.status["targets"][0]["message"]


def test_no_int4_follows_what_int8_lacks_samples_for_but_a_float_precision_may_still_win() -> None:
    done = world(ladder("int8", "int4", "fp16"), script=Scored(300, WITHIN, {"fp16-qnn": NONE})).run()
    assert tried(done) == [*POST_TRAINING, "fp16-qnn"]
    assert done.status["targets"][0]["variant"] == "fp16-qnn"


def test_int4_follows_an_int8_that_was_proven_in_the_end_and_is_too_slow() -> None:
    script = Scored(300, NONE, {"int8-qnn": WITHIN}, bounds={"int8": "60ms"})
    done = world(ladder("int8", "int4"), script=script).run()
    assert tried(done)[:2] == ["int8-qnn", "int8-qnn-percentile"]
    assert done.status["targets"][0]["precision"] == "int4"


def test_so_few_samples_that_nothing_can_be_proven_end_it_whatever_was_lost() -> None:
    for lost in (0, 2):
        done = world(ladder("int8", "int4"), script=Scored(100, lost)).run()
        assert tried(done) == ["int8-qnn"]
        assert done.status["targets"][0]["reason"] == "AccuracyInconclusive"


def test_a_loss_that_is_probably_too_large_climbs_on_and_training_may_prove_itself() -> None:
    done = world(script=Scored(1000, 15, {"int8-qnn-qat": 0})).run()
    assert tried(done) == [*POST_TRAINING, "int8-qnn-mixed", "int8-qnn-qat"]
    assert done.status["phase"] == "Ready"


def test_samples_without_any_loss_are_enough_at_the_size_of_the_example() -> None:
    done = world(script=Scored(480, 1)).run()
    assert done.status["phase"] == "Ready"
    assert done.events[-2].message == "cockpit: int8-qnn for qcs8255"


class OnBoard(Script):
    """The board finds one lost sample of 300 more than the host: not proven there, but within the limit."""

    def __init__(self, *proven: str) -> None:
        super().__init__(drops={"int8": 0.0})
        self._proven = set(proven)
        self._variants: dict[str, str] = {}

    def answer(self, recipe: Recipe) -> StageResult:
        found = super().answer(recipe)
        if isinstance(recipe, QuantizeRecipe) and found.artifact:
            rung = Rung(recipe.precision, recipe.method, recipe.calibration, recipe.static)
            self._variants[found.artifact.digest] = rung.name(recipe.toolchain)
        if found.benchmark is None:
            return found
        lost = 0 if self._variants[getattr(recipe, "variant", "")] in self._proven else 1
        on_board = {
            "accuracy_on_target": accuracy(0.98 - lost / 300, 300),
            "accuracy_on_target_drop": lost / 300,
            "accuracy_on_target_interval": interval(lost, 0, 300),
        }
        return found.model_copy(update={"benchmark": found.benchmark.model_copy(update=on_board)})


def test_accuracy_that_lacks_samples_on_the_board_leads_to_the_next_rung_too() -> None:
    done = world(script=OnBoard("int8-qnn-entropy")).run()
    assert tried(done) == ["int8-qnn", "int8-qnn-percentile", "int8-qnn-entropy"]
    assert done.status["phase"] == "Ready"


def test_accuracy_that_no_rung_proves_on_the_board_ends_without_training() -> None:
    done = world(script=OnBoard()).run()
    assert tried(done) == POST_TRAINING
    (target,) = done.status["targets"]
    assert target["reason"] == "AccuracyInconclusive"
    assert "about 640 samples would decide (best of 7 tried: int8-qnn)" in target["message"]


def test_a_gate_that_was_missed_before_decides_over_lacking_samples() -> None:
    done = world(benchmark={"minProvenance": "measured"}).run()
    (candidate,) = done.status["targets"][0]["candidates"]
    assert [gate["name"] for gate in candidate["gates"] if gate["outcome"] != "Pass"] == ["provenance"]
    assert first_miss([]) is None
    assert Candidate("int8-qnn", Rung("int8", "static"), "quantize", doubt="Unproven").verdict == "Working"


def test_camera_to_decision_of_a_model_without_frames_is_refused_before_anything_is_quantized() -> None:
    done = world(benchmark={"endToEnd": {}})
    speed = [TensorSpec(name="speed", shape=[1, 4])]
    done.script = Frameless(speed)
    done.run()
    assert done.status["targets"][0]["reason"] == "InvalidSpec"
    assert "needs a model input [1, C, H, W]" in done.status["targets"][0]["message"]
    assert not any("int8" in stage for stage in done.stages())


class Frameless(Script):
    """Resolve finds these inputs."""

    def __init__(self, inputs: list[TensorSpec]) -> None:
        super().__init__()
        self._inputs = inputs

    def _facts(self, recipe: Any) -> dict[str, Any]:
        found = super()._facts(recipe)
        if model := found.get("model"):
            assert isinstance(model, ModelFacts)
            return {"model": model.model_copy(update={"inputs": self._inputs})}
        return found
