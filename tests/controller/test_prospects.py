"""What resolve has shown to be out of reach is told then, and no variant is made for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.builders import COCKPIT, ENTRY, Script, World, failure, world
from dms_operator.api.sample_counts import divided, samples_for
from dms_operator.api.stages import LabelFacts

X86 = {"name": "lab", "board": "generic-x86"}


def short(samples: int, *targets: dict[str, Any], **spec: Any) -> World:
    """A deployment whose dataset has so many samples, at its end."""
    return world(*targets, script=Script(dataset_samples=samples), **spec).run()


def test_a_dataset_that_is_too_short_for_the_proof_ends_after_resolve_with_what_to_give() -> None:
    done = short(420)
    assert done.stages() == ["resolve: Succeeded"]
    assert done.status["phase"] == "Failed"
    assert done.condition("Ready")["reason"] == "AccuracyInconclusive"
    assert done.condition("Quantized")["status"] == "False"
    assert done.condition("ModelResolved")["status"] == "True"
    assert done.status["summary"]["message"] == (
        "the dataset has 420 samples, of which 280 evaluate: a drop of at most 1.0 points takes 299 to prove, even "
        "without any loss. Give 448 samples or dataset.calibrationSamples: 121 or quantization.maxAccuracyDrop: 0.011"
    )


def test_each_target_that_is_out_of_reach_is_told_once_in_an_event() -> None:
    done = short(420)
    done.edit(benchmark={"latencyBudget": "40ms"})
    done.run()
    [told] = [event for event in done.events if event.type == "Warning"]
    assert told.reason == "TargetFailed"
    assert told.message.startswith("cockpit: AccuracyInconclusive: the dataset has 420 samples")


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": {"uri": "file:///d", "calibrationSamples": 121}},
        {"quantization": {"maxAccuracyDrop": 0.011}},
    ],
)
def test_what_it_says_to_give_is_enough(change: dict[str, Any]) -> None:
    assert short(420, **change).status["phase"] == "Ready"
    assert short(448).status["phase"] == "Ready"


@pytest.mark.parametrize("metric", ["mae", "cosine"])
def test_a_metric_that_is_resampled_names_the_samples_alone(metric: str) -> None:
    done = short(24, dataset={"uri": "file:///d", "metric": metric})
    assert done.status["summary"]["message"] == (
        "the dataset has 24 samples, of which 16 evaluate: a drop of at most 0.01 takes 20 to prove, even without any "
        "loss. Give 29 samples"
    )


def test_a_target_that_takes_fp32_needs_no_proof() -> None:
    done = short(30, X86 | {"precisions": ["fp32"]}, COCKPIT, dataset={"uri": "file:///d", "evaluationSamples": 299})
    assert [target["state"] for target in done.status["targets"]] == ["Ready", "Failed"]
    assert "quantize fp32: Succeeded" in done.stages()
    assert not any("int8" in stage for stage in done.stages())


def test_a_resolve_that_counted_no_samples_is_taken_as_before() -> None:
    done = world(script=Script(dataset_samples=None)).run()
    assert done.status["phase"] == "Ready"


def test_training_without_a_program_is_refused_once_resolve_knows_the_format() -> None:
    done = world(script=Script(model_format="torchscript"), quantization={"method": "qat"}).run()
    assert done.stages() == ["resolve: Succeeded"]
    assert done.condition("Ready")["reason"] == "InvalidSpec"
    assert done.status["summary"]["message"].startswith("method qat trains the PyTorch program, and the model is Torch")


def test_training_without_a_program_leaves_a_float_precision_its_chance() -> None:
    quantization = {"method": "qat", "precisions": ["int8", "fp16"]}
    script = Script(model_format="onnx", failures={"quantize-int8": failure("QuantizationFailed", "is ONNX")})
    done = world(script=script, quantization=quantization).run()
    assert "quantize fp16-qnn: Succeeded" in done.stages()


@pytest.mark.parametrize(
    ("metric", "labels", "message"),
    [
        ("top1", {"dtype": "float32", "shape": [6]}, "Save labels.argmax(axis=1) if these are one-hot"),
        ("mae", {"dtype": "float32", "shape": [2]}, "labels of shape [2] do not fit outputs of shape [6]"),
        ("macroF1", {"dtype": "int64", "shape": [], "low": 3, "high": 3}, "all labels are 3"),
    ],
)
def test_labels_that_do_not_fit_the_metric_end_after_resolve(metric: str, labels: dict[str, Any], message: str) -> None:
    script = Script(labels=LabelFacts.model_validate(labels))
    done = world(script=script, dataset={"uri": "file:///d", "metric": metric}).run()
    assert done.stages() == ["resolve: Succeeded"]
    assert done.condition("Ready")["reason"] == "DatasetInvalid"
    assert message in done.status["summary"]["message"]
    assert world(script=script, dataset={"uri": "file:///d", "metric": "cosine"}).run().status["phase"] == "Ready"


def test_labels_that_fit_are_no_obstacle() -> None:
    labels = LabelFacts(dtype="int64", shape=[], low=0, high=5)
    assert world(script=Script(labels=labels)).run().status["phase"] == "Ready"


def test_a_target_that_cannot_be_built_costs_the_others_nothing() -> None:
    done = world(COCKPIT, ENTRY | {"precisions": ["fp32"]}).run()
    assert [target["state"] for target in done.status["targets"]] == ["Ready", "Failed"]


@given(st.integers(1, 400), st.integers(1, 600))
def test_the_shortest_dataset_for_a_proof_is_enough_and_no_shorter_one_is(evaluating: int, calibration: int) -> None:
    shortest = samples_for(evaluating, calibration)
    assert divided(shortest, calibration, evaluating)[1] == evaluating
    assert shortest == 1 or divided(shortest - 1, calibration, evaluating)[1] < evaluating
