"""Trying again: after an edit, after the retry annotation, after a lost answer. Never by itself, never for ever."""

import pytest

from controller.builders import COCKPIT, ENTRY, Script, World, failure, latency, world
from dms_operator.api.labels import RECIPE_DIGEST, RETRY


def failed_world() -> World:
    return world(COCKPIT, ENTRY, script=Script(failures={"convert-tda4vm": failure()})).run()


def runs_of(done: World, stage: str) -> int:
    digest = next(each["recipe"] for each in done.status["stages"] if each["name"] == stage)
    return done.created.count(digest)


def test_a_failure_is_not_tried_again_by_itself() -> None:
    done = failed_world()
    done.tick(86_400)
    plan = done.reconcile()
    assert (plan.create, plan.delete, plan.requeue_after) == ([], [], None)


def test_a_new_retry_value_runs_failed_stages_once_more_and_is_echoed() -> None:
    done = failed_world()
    done.annotate(RETRY, "tools-installed")
    done.script = Script()
    done.run()
    assert done.status["phase"] == "Ready"
    assert done.status["handledRetry"] == "tools-installed"
    assert runs_of(done, "convert entry int8-tidl") == 2
    assert runs_of(done, "quantize int8-qnn") == 1


def test_the_same_retry_value_is_acted_upon_once() -> None:
    done = failed_world()
    done.annotate(RETRY, "again")
    done.run()
    done.reconcile()
    assert runs_of(done, "convert entry int8-tidl") == 2
    assert done.status["phase"] == "Failed"


def test_taking_the_retry_annotation_away_runs_nothing() -> None:
    done = failed_world()
    done.annotate(RETRY, "again")
    done.run()
    del done.body["metadata"]["annotations"]
    plan = done.reconcile()
    assert (plan.create, plan.delete) == ([], [])
    assert done.status["handledRetry"] == "again"


def test_a_failure_outlives_its_job_but_not_a_retry() -> None:
    done = failed_world()
    for name in list(done.jobs):
        done.delete(name)
    assert done.reconcile().create == []
    done.annotate(RETRY, "again")
    assert len(done.reconcile().create) == 1


def test_an_edit_runs_failed_stages_once_more_and_successes_not() -> None:
    done = failed_world()
    made = len(done.created)
    done.edit(benchmark={"latencyBudget": "40ms"})
    done.run()
    assert len(done.created) == made + 1


FALLBACK = {**COCKPIT, "precisions": ["int8", "fp16"]}
REFUSED = Script(failures={"convert-int8": failure("UnsupportedOperators", "GridSample x2 is not supported")})


def test_what_was_made_beyond_a_failure_is_kept_while_that_is_tried_again() -> None:
    done = world(FALLBACK, script=REFUSED).run()
    ready, made = done.status, len(done.created)
    assert (ready["phase"], ready["targets"][0]["precision"]) == ("Ready", "fp16")
    done.annotate(RETRY, "again")
    done.reconcile()
    trying = done.reconcile()
    assert [stage.name for stage in trying.status.stages if stage.state == "Pending"] == ["convert cockpit int8-qnn"]
    assert done.status["variants"] == ready["variants"]
    assert done.status["targets"][0]["state"] == "Converting"
    assert "variant" not in done.status["targets"][0]
    done.run()
    assert len(done.created) == made + 1
    assert done.status["targets"] == ready["targets"]


def test_what_was_made_beyond_a_failure_goes_when_it_is_not_needed_any_more() -> None:
    done = world(FALLBACK, script=REFUSED).run()
    done.script = Script()
    done.annotate(RETRY, "tools-renewed")
    done.run()
    assert [each["name"] for each in done.status["variants"]] == ["fp32", "int8-qnn"]
    assert not any("fp16" in stage for stage in done.stages())
    assert done.status["targets"][0]["precision"] == "int8"


def test_an_edit_keeps_what_was_made_beyond_a_failure_too() -> None:
    done = world(FALLBACK, script=REFUSED).run()
    made = len(done.created)
    done.edit(benchmark={"latencyBudget": "40ms"})
    done.run()
    assert len(done.created) == made + 1
    assert done.status["targets"][0]["precision"] == "fp16"


def test_a_failed_job_is_gone_before_its_successor_is_made() -> None:
    done = failed_world()
    done.annotate(RETRY, "again")
    plan = done.plan()
    assert (len(plan.delete), plan.create) == (1, [])


def test_a_finished_job_whose_answer_is_lost_runs_again_after_a_grace() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.finish(name)
    new.pods[name] = []
    waiting = new.reconcile()
    assert (waiting.delete, waiting.create) == ([], [])
    assert waiting.requeue_after is not None and waiting.requeue_after > 0
    new.tick(waiting.requeue_after)
    assert new.reconcile().delete == [name]
    assert [job["metadata"]["name"] for job in new.reconcile().create] == [name]


def test_a_lost_answer_is_not_waited_for_by_a_clock_that_is_far_behind() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.finish(name)
    new.pods[name] = []
    new.tick(-600)
    assert new.reconcile().delete == [name]


def test_an_answer_that_comes_late_is_taken() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.finish(name)
    late, new.pods[name] = new.pods[name], []
    new.reconcile()
    new.pods[name] = late
    assert new.reconcile().delete == []
    assert new.status["stages"][0]["state"] == "Succeeded"


def test_after_a_retry_nothing_is_trusted_that_a_damaged_store_may_have_lost() -> None:
    lost = failure("ArtifactMissing", "the variant is gone from the store")
    done = world(script=Script(failures={"convert": lost})).run()
    done.script = Script()
    done.annotate(RETRY, "rebuild")
    done.run()
    assert done.status["phase"] == "Ready"
    assert runs_of(done, "resolve") == runs_of(done, "quantize int8-qnn") == 2


def test_a_job_waits_while_its_predecessor_is_being_deleted() -> None:
    done = failed_world()
    done.annotate(RETRY, "again")
    (name,) = done.plan().delete
    done.jobs[name]["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    plan = done.reconcile()
    assert (plan.delete, plan.create) == ([], [])


def test_a_waiting_job_is_made_anew_when_its_pod_would_look_different_now() -> None:
    new = world()
    new.reconcile()
    new.settings = new.settings.model_copy(update={"node_selectors": {"resolve": {"disk": "big"}}})
    (name,) = new.reconcile().delete
    (manifest,) = new.reconcile().create
    assert manifest["metadata"]["name"] == name
    assert manifest["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "big"}


def test_a_running_job_is_left_alone_when_settings_change() -> None:
    new = world()
    new.start(new.reconcile().create[0]["metadata"]["name"])
    new.settings = new.settings.model_copy(update={"node_selectors": {"resolve": {"disk": "big"}}})
    assert new.reconcile().delete == []


def test_jobs_that_an_edited_spec_does_not_ask_for_are_deleted_even_while_running() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.start(name)
    new.edit(model={"uri": "file:///models/other.onnx"})
    plan = new.reconcile()
    assert plan.delete == [name]
    assert len(plan.create) == 1
    assert plan.create[0]["metadata"]["annotations"][RECIPE_DIGEST] != new.created[0]


def test_a_recipe_with_a_live_job_gets_no_second_one() -> None:
    new = world()
    new.reconcile()
    assert new.reconcile().create == []
    new.start(next(iter(new.jobs)))
    assert new.reconcile().create == []


def test_changing_the_latency_budget_judges_anew_and_runs_nothing() -> None:
    done = world().run()
    done.edit(benchmark={"latencyBudget": "0.1ms"})
    plan = done.reconcile()
    assert (plan.create, plan.delete) == ([], [])
    assert done.condition("BudgetMet")["reason"] == "LatencyBudgetExceeded"


def test_changing_the_calibration_runs_quantize_and_what_follows() -> None:
    done = world().run()
    made = len(done.created)
    done.edit(quantization={"calibration": "entropy"})
    done.run()
    assert len(done.created) == made + 3


def test_a_job_that_is_being_deleted_says_nothing_any_more() -> None:
    new = world()
    name = new.reconcile().create[0]["metadata"]["name"]
    new.finish(name)
    new.jobs[name]["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    plan = new.reconcile()
    assert (plan.create, plan.delete) == ([], [])
    assert new.stages() == ["resolve: Pending"]


NOISY = {"latencies": [latency("measured", "0.450ms", samples=700, noisy=True).to_wire()]}


def test_a_noisy_benchmark_is_not_repeated_by_itself() -> None:
    done = world(script=Script(benchmark=NOISY)).run()
    assert done.status["targets"][0]["reason"] == "LatencyInconclusive"
    assert "annotation dms.edge/retry" in done.status["targets"][0]["message"]
    done.tick(86_400)
    plan = done.reconcile()
    assert (plan.create, plan.delete, plan.requeue_after) == ([], [], None)


def test_a_noisy_benchmark_alone_is_measured_again_when_the_user_asks() -> None:
    done = world(script=Script(benchmark=NOISY)).run()
    done.annotate(RETRY, "quiet now")
    done.script = Script()
    done.run()
    assert done.status["phase"] == "Ready"
    assert runs_of(done, "benchmark cockpit int8-qnn") == 2
    assert runs_of(done, "convert cockpit int8-qnn") == 1


NOISY_BUT_FAST = {"latencies": [latency("measured", "0.450ms", samples=700, noisy=True, max="0.500ms").to_wire()]}


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_noisy_benchmark_that_passed_is_measured_again_by_a_retry_and_by_no_edit(is_gone: bool) -> None:
    done = world(script=Script(benchmark=NOISY_BUT_FAST)).run()
    assert done.status["phase"] == "Ready"
    for name in list(done.jobs) if is_gone else []:
        done.delete(name)
    for suspend in (True, False):
        done.edit(suspend=suspend)
        assert done.run().status["targets"][0]["state"] == "Ready"
    done.edit(benchmark={"latencyBudget": "60ms"})
    assert done.run().status["phase"] == "Ready"
    assert runs_of(done, "benchmark cockpit int8-qnn") == 1
    done.annotate(RETRY, "quiet now")
    assert done.run().status["phase"] == "Ready"
    assert runs_of(done, "benchmark cockpit int8-qnn") == 2


def test_a_noisy_benchmark_whose_job_is_gone_is_measured_again_too() -> None:
    done = world(script=Script(benchmark=NOISY)).run()
    for name in list(done.jobs):
        done.delete(name)
    done.annotate(RETRY, "quiet now")
    done.script = Script()
    assert done.run().status["phase"] == "Ready"


def test_a_quiet_benchmark_is_never_measured_again() -> None:
    done = world().run()
    done.annotate(RETRY, "for nothing")
    done.run()
    assert runs_of(done, "benchmark cockpit int8-qnn") == 1
