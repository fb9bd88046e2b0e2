"""The ladder when samples are lacking: no calibration and no training is spent on what more samples would decide."""

from typing import Any

from controller.builders import COCKPIT, Script, World, accuracy, interval, variant, world
from dms_operator.api.stages import ModelFacts, QuantizeRecipe, TensorSpec, VariantFacts
from dms_operator.controller.gates import first_miss
from dms_operator.controller.ladder import Candidate
from dms_operator.controller.rungs import Rung


class Scored(Script):
    """Quantize answers with lost samples of so many, by precision."""

    def __init__(self, samples: int, **lost: int) -> None:
        super().__init__()
        self._samples, self._lost = samples, lost

    def _variant(self, recipe: QuantizeRecipe) -> VariantFacts:
        lost = 0 if recipe.precision == "fp32" else self._lost.get(f"{recipe.precision}_{recipe.method}", 0)
        drop = lost / self._samples
        changes = {"accuracy": accuracy(0.98 - drop, self._samples), "accuracy_drop": drop}
        return variant(0.0, recipe).model_copy(update=changes | {"drop_interval": interval(lost, 0, self._samples)})


def tried(done: World) -> list[str]:
    found: list[dict[str, Any]] = done.status["targets"][0]["candidates"]
    return [each["variant"] for each in found]


def ladder(*precisions: str) -> dict[str, Any]:
    return {**COCKPIT, "precisions": list(precisions)}


def test_a_loss_within_the_limit_that_is_not_proven_ends_the_ladder() -> None:
    done = world(script=Scored(300, int8_static=1)).run()
    assert tried(done) == ["int8-qnn"]
    (target,) = done.status["targets"]
    assert target["reason"] == "AccuracyInconclusive"
    assert target["message"] == (
        "int8: lost 0.33 points of top1 on 300 samples, at most 1.57 points at 95 % confidence, 1.0 points allowed: "
        "about 640 samples would decide. "
        "Try: more samples in the dataset and in dataset.evaluationSamples, fewer calibrationSamples, or a larger "
        "maxAccuracyDrop"
    )


def test_no_training_and_no_int4_follow_but_a_float_precision_may_still_win() -> None:
    done = world(ladder("int8", "int4", "fp16"), script=Scored(300, int8_static=1)).run()
    assert tried(done) == ["int8-qnn", "fp16-qnn"]
    assert done.status["targets"][0]["variant"] == "fp16-qnn"


def test_so_few_samples_that_nothing_can_be_proven_end_it_whatever_was_lost() -> None:
    for lost in (0, 2):
        done = world(script=Scored(100, int8_static=lost)).run()
        assert tried(done) == ["int8-qnn"]
        assert done.status["targets"][0]["reason"] == "AccuracyInconclusive"


def test_a_loss_that_is_probably_too_large_climbs_on_and_training_may_prove_itself() -> None:
    done = world(script=Scored(1000, int8_static=15)).run()
    assert tried(done)[0] == "int8-qnn"
    assert tried(done)[-1] == "int8-qnn-qat"
    assert done.status["phase"] == "Ready"


def test_samples_without_any_loss_are_enough_at_the_size_of_the_example() -> None:
    assert world(script=Scored(480, int8_static=1)).run().status["phase"] == "Ready"


def test_accuracy_that_lacks_samples_on_the_board_is_no_reason_for_another_rung() -> None:
    score = accuracy(0.97, 300)
    facts = {
        "accuracyOnTarget": score,
        "accuracyOnTargetDrop": 1 / 300,
        "accuracyOnTargetInterval": interval(1, 0, 300),
    }
    done = world(script=Script(benchmark=facts)).run()
    assert tried(done) == ["int8-qnn"]
    assert done.status["targets"][0]["reason"] == "AccuracyInconclusive"


def test_a_gate_that_was_missed_before_decides_over_lacking_samples() -> None:
    done = world(benchmark={"minProvenance": "measured"}).run()
    (candidate,) = done.status["targets"][0]["candidates"]
    assert [gate["name"] for gate in candidate["gates"] if gate["outcome"] != "Pass"] == ["provenance"]
    assert first_miss([]) is None
    assert Candidate("int8-qnn", Rung("int8", "static"), "quantize", lacks_samples=True).verdict == "Working"


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
