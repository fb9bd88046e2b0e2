"""What a failure stops, what it leaves alone, and how it is told."""

import pytest

from controller.builders import COCKPIT, ENTRY, Script, World, failure, world
from dms_operator.api.stages import Delegation, ModelFormat

MISSING = failure("SourceNotFound", "nothing is stored at file:///models/driver.pt2")
LADDER = {**COCKPIT, "precisions": ["fp16", "int8"]}


def target(done: World, index: int = 0) -> dict[str, str]:
    found: dict[str, str] = done.status["targets"][index]
    return found


def test_a_missing_model_stalls_with_one_message_and_runs_nothing_else() -> None:
    done = world(COCKPIT, ENTRY, script=Script(failures={"resolve": MISSING})).run()
    assert done.stages() == ["resolve: Failed"]
    assert done.status["summary"]["message"] == MISSING.message
    for kind in ("Ready", "Stalled", "ModelResolved"):
        assert (done.condition(kind)["reason"], done.condition(kind)["message"]) == ("SourceNotFound", MISSING.message)
    assert done.condition("Quantized")["message"] == "see ModelResolved"
    assert "Reconciling" not in done.conditions


def test_a_lost_accuracy_says_how_much_and_what_to_try() -> None:
    done = world(script=Script(drops={"int8": 0.03, "int8-percentile": 0.023})).run()
    assert target(done)["reason"] == "AccuracyGateFailed"
    assert target(done)["message"] == (
        "int8: lost 2.3 points of top1 on 1000 samples, at least 1.58 points at 95 % confidence, 1.0 points allowed "
        "(best of 9 tried: int8-qnn-percentile). "
        "Try: add fp16 to precisions, more calibrationSamples, a larger maxAccuracyDrop (now 1.0 points)"
    )
    assert not any("convert" in stage for stage in done.stages())


@pytest.mark.parametrize("model_format", ["onnx", "torchscript"])
def test_a_model_that_cannot_be_trained_is_told_what_training_needs(model_format: ModelFormat) -> None:
    done = world(script=Script(drops={"int8": 0.03}, model_format=model_format)).run()
    assert not any("qat" in stage for stage in done.stages())
    assert (
        "Try: add fp16 to precisions, the PyTorch program (.pt2) as model, which alone can be trained, more "
        "calibrationSamples" in target(done)["message"]
    )


def test_training_is_not_proposed_where_no_precision_of_integers_was_tried() -> None:
    asked = {**COCKPIT, "precisions": ["fp16"]}
    done = world(asked, script=Script(drops={"fp16": 0.03}, model_format="onnx")).run()
    assert target(done)["reason"] == "AccuracyGateFailed"
    assert "PyTorch" not in target(done)["message"]


def test_further_calibrations_run_only_until_one_keeps_the_accuracy() -> None:
    done = world(script=Script(drops={"int8-minmax": 0.03, "int8-percentile": 0.002})).run()
    assert [stage for stage in done.stages() if "int8" in stage and "quantize" in stage] == [
        "quantize int8-qnn: Succeeded",
        "quantize int8-qnn-percentile: Succeeded",
    ]
    assert target(done)["variant"] == "int8-qnn-percentile"
    assert done.status["variants"][1]["reason"] == (
        "lost 3.0 points of top1 on 1000 samples, at least 2.17 points at 95 % confidence, 1.0 points allowed"
    )


def test_the_cheapest_precision_that_passes_wins_and_dearer_ones_are_not_tried() -> None:
    done = world(LADDER).run()
    assert target(done)["precision"] == "int8"
    assert not any("fp16" in stage for stage in done.stages())


def test_operators_that_the_npu_refuses_in_int8_lead_to_fp16() -> None:
    refused = failure("UnsupportedOperators", "GridSample x2 does not run on the HTP")
    done = world(LADDER, script=Script(failures={"convert-int8": refused})).run()
    assert target(done)["precision"] == "fp16"
    assert done.status["phase"] == "Ready"


def test_operators_that_the_npu_refuses_fail_the_target_when_no_precision_is_left() -> None:
    refused = failure("UnsupportedOperators", "GridSample x2 does not run on the HTP")
    done = world(script=Script(failures={"convert": refused})).run()
    assert target(done)["reason"] == "UnsupportedOperators"
    assert target(done)["message"] == "int8: GridSample x2 does not run on the HTP"


def test_operators_that_no_precision_gets_past_are_told_once() -> None:
    refused = failure("UnsupportedOperators", "GridSample x2 does not run on the HTP")
    done = world(LADDER, script=Script(failures={"convert": refused})).run()
    assert target(done)["message"] == "int8, fp16: GridSample x2 does not run on the HTP"


def test_an_absent_toolchain_does_not_make_the_planner_try_other_precisions() -> None:
    done = world(LADDER, script=Script(failures={"convert": failure()})).run()
    assert target(done)["message"] == "TIDL tools are not installed"
    assert len(done.status["targets"][0]["candidates"]) == 1


def test_a_toolchain_without_image_fails_its_target_and_says_which_setting_to_make() -> None:
    new = world(COCKPIT, ENTRY)
    images = {**new.settings.images.to_wire(), "convert": {"qnn": "dms-qnn:1"}}
    new.settings = new.settings.model_copy(update={"images": type(new.settings.images).model_validate(images)})
    done = new.run()
    assert [each["state"] for each in done.status["targets"]] == ["Ready", "Failed"]
    assert target(done, 1)["message"] == "The operator has no convert image for tidl: set images.convert.tidl"


def test_a_float_baseline_alone_is_never_deployed() -> None:
    done = world({**COCKPIT, "precisions": ["fp32"]}).run()
    assert target(done)["message"] == "fp32 is only the host baseline of qcs8255: add int8 to the target's precisions"


def test_a_model_that_shatters_is_reported_and_not_measured() -> None:
    script = Script(delegation=Delegation(npu=20, total=27, left_on_cpu=["LayerNormalization x7"]))
    done = world(script=script).run()
    assert target(done)["reason"] == "DelegationGateFailed"
    assert "20 of 27 nodes run on the NPU, left on the CPU: LayerNormalization x7" in target(done)["message"]
    assert not any("benchmark" in stage for stage in done.stages())


def test_infrastructure_that_fails_again_and_again_stalls_with_the_last_cause() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.stumble(name)
    new.conclude(name, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    new.reconcile()
    assert new.status["phase"] == "Failed"
    assert new.condition("Stalled")["message"] == (
        "The resolve pod failed with exit code 1 "
        "(attempts: 1; to try again, give annotation dms.edge/retry a new value)"
    )
    assert new.reconcile().create == []


def test_an_invalid_spec_stalls_and_keeps_what_was_built() -> None:
    done = world().run()
    jobs = set(done.jobs)
    done.edit(targets=[{**ENTRY, "precisions": ["int4"]}])
    plan = done.reconcile()
    assert (plan.create, plan.delete, set(done.jobs)) == ([], [], jobs)
    assert done.condition("Stalled")["reason"] == "InvalidSpec"
    assert "TIDL on TDA4VM has no int4; use int8" in done.condition("Stalled")["message"]
    assert done.status["targets"][0]["state"] == "Ready"
    assert done.status["summary"]["message"] == done.condition("Stalled")["message"]
    assert done.status["summary"]["p99"]
    assert done.status["observedGeneration"] == 2
    assert [event.reason for event in plan.events] == ["InvalidSpec"]


def test_a_misspelt_option_that_an_older_crd_admitted_is_told_before_any_stage_runs() -> None:
    new = world(targets=[{**ENTRY, "options": {"estimate_only": "true"}}])
    assert new.reconcile().create == []
    assert new.condition("Stalled")["reason"] == "InvalidSpec"
    assert "no option 'estimate_only': did you mean estimate-only?" in new.condition("Stalled")["message"]


def test_a_spec_that_was_never_valid_says_why_in_the_line_for_kubectl_get() -> None:
    new = world()
    new.edit(targets=[{**ENTRY, "precisions": ["int4"]}])
    new.reconcile()
    assert "TIDL on TDA4VM has no int4; use int8" in new.status["summary"]["message"]


def test_a_repaired_spec_goes_on_where_it_was() -> None:
    done = world().run()
    good, made = done.body["spec"], len(done.created)
    done.edit(targets=[{**ENTRY, "precisions": ["int4"]}])
    done.reconcile()
    done.edit(**good)
    done.run()
    assert done.status["phase"] == "Ready"
    assert len(done.created) == made


def test_a_deployment_that_is_being_deleted_is_left_alone() -> None:
    new = world()
    new.body["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    plan = new.plan()
    assert (plan.create, plan.delete, plan.events) == ([], [], [])
    assert plan.status == new.observed().status


def test_events_tell_each_step_once() -> None:
    done = world().run()
    told = [event.message for event in done.events]
    assert len(told) == len(set(told))
    assert [event.reason for event in done.events][-2:] == ["VariantSelected", "Ready"]
