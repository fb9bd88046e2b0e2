"""Recipes: what changes a stage's output changes its digest, and nothing else does."""

from typing import Any

import pytest

from controller.builders import COCKPIT, Script, world
from dms_operator.api.quantization import StaticForm, StaticRecipe
from dms_operator.api.spec import QuantizationSpec
from dms_operator.api.status import GateStatus
from dms_operator.controller.ladder import Candidate
from dms_operator.controller.rungs import REFERENCE, Rung, rungs


def digests(*targets: dict[str, Any], **changes: Any) -> dict[str, str]:
    done = world(*targets, **changes).run()
    return {stage["name"]: stage["recipe"] for stage in done.status["stages"]}


def changed_stages(**changes: Any) -> list[str]:
    before, after = digests(), digests(**changes)
    return [name for name in before if before[name] != after.get(name)]


@pytest.mark.parametrize(
    "changes",
    [
        {"benchmark": {"latencyBudget": "49ms"}},
        {"benchmark": {"minProvenance": "estimated"}},
        {"quantization": {"maxAccuracyDrop": 0.02}},
        {"rollout": {"waves": [{"name": "fleet", "size": "100%"}]}},
        {"artifacts": {"uri": "file:///artifacts", "retain": 3}},
    ],
)
def test_limits_and_rollout_knobs_are_part_of_no_recipe(changes: dict[str, Any]) -> None:
    assert changed_stages(**changes) == []


def test_benchmark_settings_change_the_benchmark_alone() -> None:
    assert changed_stages(benchmark={"profile": "normal"}) == ["benchmark cockpit int8-qnn"]


def test_another_model_changes_everything() -> None:
    assert changed_stages(model={"uri": "file:///models/other.onnx"})[0] == "resolve"


def test_a_metric_without_labels_does_not_ask_for_them() -> None:
    recipes = [
        world(dataset={"uri": "file:///data/dms.npz", "metric": metric}).reconcile().create[0]
        for metric in ("top1", "cosine")
    ]
    texts = [job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] for job in recipes]
    assert ['"labelsRequired": true' in text for text in texts] == [True, False]


def test_targets_of_one_toolchain_share_their_variants() -> None:
    names = digests(COCKPIT, {"name": "second", "board": "sa8255"})
    assert [name for name in names if name.startswith("quantize")] == ["quantize fp32", "quantize int8-qnn"]
    assert [name for name in names if name.startswith("convert")] == [
        "convert cockpit int8-qnn",
        "convert second int8-qnn",
    ]


def test_two_targets_that_ask_for_the_same_share_all_stages() -> None:
    names = digests(COCKPIT, {"name": "twin", "board": "qcs8255"})
    assert not any("twin" in name for name in names)


def test_a_cpu_target_deploys_the_float_reference_itself() -> None:
    names = digests({"name": "lab", "board": "generic-x86", "precisions": ["fp32"]})
    assert list(names) == ["resolve", "quantize fp32", "convert lab fp32", "benchmark lab fp32"]


@pytest.mark.parametrize(
    ("precision", "asked", "expected"),
    [
        ("fp32", {}, [REFERENCE]),
        ("fp16", {}, [Rung("fp16", "cast")]),
        ("int8", {"method": "dynamic"}, [Rung("int8", "dynamic")]),
        ("int8", {"method": "qat"}, [Rung("int8", "qat")]),
    ],
)
def test_rungs_follow_method_and_calibration(precision: Any, asked: dict[str, Any], expected: list[Rung]) -> None:
    assert rungs(precision, QuantizationSpec.model_validate(asked), "qnn") == expected


def names(precision: Any, toolchain: Any, trainable: bool = True, **asked: Any) -> list[str]:
    return [rung.name(toolchain) for rung in rungs(precision, QuantizationSpec(**asked), toolchain, trainable)]


def test_auto_climbs_over_calibrations_equalization_and_rounding_to_more_bits_and_then_training() -> None:
    assert names("int8", "qnn") == [
        "int8-qnn",
        "int8-qnn-percentile",
        "int8-qnn-entropy",
        "int8-qnn-mse",
        "int8-qnn-equalized",
        "int8-qnn-rounded",
        "int8-qnn-a16",
        "int8-qnn-mixed",
        "int8-qnn-qat",
    ]


def test_four_bit_weights_try_no_other_ranges_and_8_bit_activations_first() -> None:
    assert names("int4", "qnn") == [
        "int4-qnn-a8-rounded",
        "int4-qnn",
        "int4-qnn-equalized",
        "int4-qnn-rounded",
        "int4-qnn-mixed",
        "int4-qnn-qat",
    ]


def test_only_the_htp_is_asked_for_four_bit_weights_with_8_bit_activations() -> None:
    assert names("int4", "snpe-sdk")[0] == "int4-snpe-sdk-a8-rounded"
    assert not [name for name in names("int8", "qnn") + names("int8", "tidl") if "a8" in name]


def test_recipes_of_rungs_that_were_there_before_stay_what_they_were() -> None:
    """A recipe is the cache key: a new rung must not have the others made again."""
    found = {rung.name("qnn"): rung for rung in rungs("int4", QuantizationSpec(), "qnn")}
    better = StaticRecipe(equalize=True, correct_bias=True)
    assert found["int4-qnn"] == Rung("int4", "static", "minmax")
    assert found["int4-qnn-equalized"] == Rung("int4", "static", "minmax", better)
    rounded = better.model_copy(update={"rounding": "learned"})
    assert found["int4-qnn-rounded"] == Rung("int4", "static", "minmax", rounded)


def test_more_bits_are_tried_only_where_the_toolchain_takes_them() -> None:
    assert not [name for name in names("int8", "onnxruntime") if name.endswith(("a16", "mixed"))]


def test_tda4vm_trains_before_it_widens_and_widens_a_few_layers_before_all() -> None:
    found = names("int8", "tidl")
    assert found[-4:] == ["int8-tidl-equalized", "int8-tidl-qat", "int8-tidl-mixed", "int8-tidl-a16"]
    assert names("int8", "tidl", trainable=False)[-2:] == ["int8-tidl-mixed", "int8-tidl-a16"]


def test_training_needs_the_pytorch_program_and_the_method_auto() -> None:
    assert "int8-qnn-qat" not in names("int8", "qnn", trainable=False)
    assert "int8-qnn-qat" not in names("int8", "qnn", method="static")


def test_a_fixed_calibration_is_used_on_every_rung() -> None:
    found = rungs("int8", QuantizationSpec(calibration="mse"), "qnn")
    assert {rung.calibration for rung in found} == {"mse"}


@pytest.mark.parametrize("toolchain", ["qnn", "snpe-sdk", "tidl", "onnxruntime"])
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_each_static_rung_of_the_ladder_is_made_by_itself_when_it_is_asked_for(precision: Any, toolchain: Any) -> None:
    for rung in rungs(precision, QuantizationSpec(), toolchain):
        form = (rung.static or StaticRecipe()).model_dump(exclude={"max_accuracy_drop"})
        asked = QuantizationSpec.model_validate(
            {"method": "static", "calibration": rung.calibration, "static": StaticForm(**form).to_wire()}
        )
        assert rungs(precision, asked, toolchain, trainable=True) == [rung]


@pytest.mark.parametrize(
    "form", [{"perChannel": False}, {"symmetricActivations": True}, {"activationBits": 8}, {"rounding": "learned"}]
)
def test_a_form_reaches_the_recipe_and_no_other_is_tried_after_it(form: dict[str, Any]) -> None:
    asked = {"precisions": ["int4"], "method": "static", "static": form}
    done = world(quantization=asked, script=Script(drops={"int4": 0.3})).run()
    [found] = [stage for stage in done.status["stages"] if stage["name"].startswith("quantize int4")]
    assert done.request(found["job"]).recipe.to_wire()["static"].items() >= form.items()
    assert "no quantization.static, so that every form is tried" in done.status["targets"][0]["message"]


def test_the_accepted_drop_is_part_of_the_mixed_recipe_alone() -> None:
    before, after = (rungs("int8", QuantizationSpec(max_accuracy_drop=drop), "qnn") for drop in (0.01, 0.02))
    changed = [one.name("qnn") for one, other in zip(before, after, strict=True) if one != other]
    assert changed == ["int8-qnn-mixed"]


@pytest.mark.parametrize("method", ["auto", "static", "dynamic", "qat"])
@pytest.mark.parametrize("toolchain", ["qnn", "tidl"])
def test_names_of_variants_are_unique(method: str, toolchain: str) -> None:
    found = [name for precision in ("int4", "int8") for name in names(precision, toolchain, method=method)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("bits", "verdict"), [(16, "NextRung"), (None, "NextPrecision")])
def test_a_rung_that_is_wide_throughout_and_too_slow_leaves_room_for_a_mixture(bits: Any, verdict: str) -> None:
    slow = GateStatus(name="latency", outcome="Fail", message="too slow")
    rung = Rung("int8", "static", "minmax", StaticRecipe(activation_bits=bits))
    assert Candidate("int8-qnn", rung, "benchmark", gates=[slow]).verdict == verdict
